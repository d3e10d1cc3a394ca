/** What is said in which language. Pure, so that it can be tested without anything around it. */

const sentences = {
  en: (name: string) => `Hello, ${name}`,
  de: (name: string) => `Hallo, ${name}`,
  fr: (name: string) => `Bonjour ${name}`,
  es: (name: string) => `Hola, ${name}`,
  it: (name: string) => `Ciao, ${name}`,
  nl: (name: string) => `Hallo, ${name}`,
  ja: (name: string) => `こんにちは、${name}さん`,
} as const;

type Language = keyof typeof sentences;

/** Codes of the languages spoken, ISO 639-1. */
export const languages = Object.keys(sentences) as Language[];

/**
 * The sentence in the language of a tag (`de`, `de-AT`); English when the language is not spoken.
 * @returns the text and the language it is in
 */
export function greet(name: string, tag: string, mark: string): { text: string; language: Language } {
  const wanted = tag.split('-')[0] ?? tag;
  const language = languages.find((known) => known === wanted) ?? 'en';
  return { text: `${sentences[language](name.trim())}${mark}`, language };
}
