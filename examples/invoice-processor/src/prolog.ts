/**
 * The gate before the XML parser: one linear pass that lets only plain XML through.
 *
 * Promises:
 * P1. A DOCTYPE or any other markup declaration is refused wherever it would take effect, so there are no entities to
 *     expand and nothing outside to fetch. The same text in a comment or in CDATA is harmless and passes.
 * P2. Unterminated comments, CDATA, processing instructions and tags are refused here, by line and column.
 * P3. Every position is looked at once: the time is linear in the length.
 */
import { InputError } from '@cim/alchemist/agent';

/** Longest tag with its attributes, in characters. UBL tags stay below 200, namespace declarations included. */
const longestTag = 8192;

// XML 1.0 allows tab, line feed and carriage return of the C0 controls, and no noncharacter U+FFFE/U+FFFF.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters looked for
const forbiddenCharacter = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

/** `line 3, column 7` of an offset, both from 1. */
function place(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split('\n').length;
  return `line ${line}, column ${offset - before.lastIndexOf('\n')}`;
}

/** Refuses what must not reach the parser. @throws InputError with the place */
export function admit(xml: string): void {
  const control = forbiddenCharacter.exec(xml);
  if (control !== null) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase();
    throw new InputError(
      'xml',
      `the character U+${code} at ${place(xml, control.index)} is not allowed in XML. Send the text undamaged`,
    );
  }
  let at = xml.indexOf('<');
  while (at !== -1) {
    at = xml.indexOf('<', after(xml, at));
  }
}

/** The offset behind the markup that starts at `at`. */
function after(xml: string, at: number): number {
  if (xml.startsWith('<!--', at)) return close(xml, at, '-->', 4, 'comment');
  if (xml.startsWith('<![CDATA[', at)) return close(xml, at, ']]>', 9, 'CDATA section');
  if (xml.startsWith('<?', at)) return close(xml, at, '?>', 2, 'processing instruction');
  if (xml.startsWith('<!', at)) {
    const word = /^<!\[?\s*([A-Za-z]*)/.exec(xml.slice(at, at + 40))?.[1] || 'declaration';
    throw new InputError(
      'xml',
      `<!${word}> at ${place(xml, at)}: document type and entity declarations are refused, since they can name files or grow without end. Remove it; UBL needs none`,
    );
  }
  let quote = '';
  const limit = Math.min(xml.length, at + longestTag);
  for (let index = at + 1; index < limit; index++) {
    const char = xml[index]!;
    if (quote !== '') {
      if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '>') return index + 1;
    else if (char === '<') break;
  }
  throw new InputError('xml', `the tag at ${place(xml, at)} does not end. Expected ">" within ${longestTag} characters`);
}

function close(xml: string, at: number, end: string, skip: number, what: string): number {
  const found = xml.indexOf(end, at + skip);
  if (found !== -1) return found + end.length;
  throw new InputError('xml', `the ${what} at ${place(xml, at)} does not end. Expected "${end}"`);
}
