/**
 * HTML as found in the wild, read as a stream: nothing has to be closed, nested or declared properly.
 *
 * Promises:
 * W1. Any text is HTML: what a browser would show is read, what it would not show (script, style, template) is left out.
 * W2. `pre` is code; code within a sentence is part of the sentence.
 * W3. Linear in the length, however deep the nesting (see `shallow.ts`).
 */
import { Parser } from 'htmlparser2';
import { linesOf } from './lines.ts';
import { Collector, type Parsed } from './model.ts';
import { shallowTokenizer } from './shallow.ts';

const words = (text: string): ReadonlySet<string> => new Set(text.split(' '));
const hidden = words('script style template noscript iframe object select datalist');
/** A block of text ends where one of these begins or ends. */
const blocks = words(
  'address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol p pre section summary table tbody td tfoot th thead tr ul',
);
/** Read between two pauses, in characters. */
const slice = 65_536;

export function* readHtml(content: string): Generator<void, Parsed> {
  const out = new Collector(linesOf(content));
  yield* feedHtml(out, content, 0);
  return out;
}

/** Adds what a piece of HTML holds. @param base where the piece begins in the content */
export function* feedHtml(out: Collector, html: string, base: number): Generator<void, void> {
  const reader = new HtmlReader(out, html, base);
  for (let at = 0; at < html.length; at += slice) {
    reader.parser.write(html.slice(at, at + slice));
    if (at + slice < html.length) yield;
  }
  reader.parser.end();
  reader.flush();
}

interface Attributes {
  readonly [name: string]: string;
}

class HtmlReader {
  readonly parser: Parser;
  readonly #out: Collector;
  readonly #base: number;
  #depth = 0;
  #hidden = 0;
  #items = 0;
  #cells = 0;
  #text = '';
  #title: string | undefined;
  #heading: { level: number; offset: number; id: string | undefined } | undefined;
  #link: { href: string; title: string | undefined; from: number; text: string } | undefined;
  #code: { depth: number; language: string | undefined; content: string } | undefined;

  constructor(out: Collector, html: string, base: number) {
    this.#out = out;
    this.#base = base;
    this.parser = new Parser(
      {
        onopentag: (name, attributes) => this.#open(name, attributes),
        onclosetag: (name) => this.#close(name),
        ontext: (text) => this.#write(text),
      },
      { Tokenizer: shallowTokenizer(html, () => this.#depth) },
    );
  }

  /** Ends the block that is open. */
  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (this.#heading !== undefined) {
      const { level, offset, id } = this.#heading;
      this.#heading = undefined;
      this.#out.heading(level, text, offset, id);
    } else this.#out.block(this.#cells > 0 ? 'cell' : this.#items > 0 ? 'item' : 'paragraph', text);
  }

  #write(text: string): void {
    if (this.#title !== undefined) this.#title += text;
    else if (this.#hidden > 0) return;
    else if (this.#code !== undefined) this.#code.content += text;
    else {
      this.#text += text;
      if (this.#link !== undefined) this.#link.text += text;
    }
  }

  #open(name: string, attributes: Attributes): void {
    this.#depth += 1;
    if (hidden.has(name)) this.#hidden += 1;
    if (this.#hidden > 0) return;
    if (this.#code !== undefined) {
      if (name === 'code') this.#code.language ??= languageOf(attributes);
      if (name === 'br') this.#code.content += '\n';
      return;
    }
    if (blocks.has(name)) this.flush();
    const level = /^h([1-6])$/.exec(name)?.[1];
    if (level !== undefined) {
      this.#heading = { level: Number(level), offset: this.#base + this.parser.startIndex, id: attributes['id'] || undefined };
    } else if (name === 'a') this.#openLink(attributes);
    else if (name === 'img') this.#image(attributes);
    else if (name === 'pre') this.#code = { depth: this.#depth, language: languageOf(attributes), content: '' };
    else if (name === 'br') this.#write(' ');
    else if (name === 'li') this.#items += 1;
    else if (name === 'td' || name === 'th' || name === 'caption') this.#cells += 1;
    else if (name === 'table') this.#out.tables += 1;
    else if (name === 'title' && this.#out.title === undefined) this.#title = '';
  }

  #close(name: string): void {
    this.#depth -= 1;
    if (hidden.has(name)) {
      this.#hidden = Math.max(0, this.#hidden - 1);
      return;
    }
    if (this.#hidden > 0) return;
    if (this.#code !== undefined) {
      if (name !== 'pre' || this.#depth >= this.#code.depth) return;
      this.#out.addCode(this.#code.content.replace(/^(?:\r\n|\n)/, ''), this.#code.language);
      this.#code = undefined;
      return;
    }
    if (name === 'title' && this.#title !== undefined) {
      const title = this.#title.replace(/\s+/g, ' ').trim();
      if (title !== '') this.#out.title = title;
      this.#title = undefined;
      return;
    }
    if (name === 'a') this.#closeLink();
    if (blocks.has(name)) this.flush();
    if (name === 'li') this.#items = Math.max(0, this.#items - 1);
    if (name === 'td' || name === 'th' || name === 'caption') this.#cells = Math.max(0, this.#cells - 1);
  }

  #openLink(attributes: Attributes): void {
    this.#closeLink();
    const href = attributes['href'];
    if (href !== undefined) this.#link = { href, title: attributes['title'], from: this.#out.links.length, text: '' };
  }

  /** Links stand where they begin, so an image inside comes after its link. */
  #closeLink(): void {
    if (this.#link === undefined) return;
    const { href, title, from, text } = this.#link;
    this.#link = undefined;
    const inside = this.#out.links.splice(from);
    this.#out.link(text, href, title);
    this.#out.links.push(...inside);
  }

  #image(attributes: Attributes): void {
    const alt = attributes['alt'] ?? '';
    if (attributes['src'] !== undefined) this.#out.image(attributes['src'], alt, attributes['title']);
    if (this.#link !== undefined) this.#link.text += alt;
  }
}

function languageOf(attributes: Attributes): string | undefined {
  return /(?:^|\s)(?:language|lang|highlight-source)-([\w+#.-]{1,40})/.exec(attributes['class'] ?? '')?.[1];
}
