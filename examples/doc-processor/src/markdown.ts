/**
 * Markdown with the extensions of GitHub, by the parser of the unified project, piece by piece (see `pieces.ts`).
 *
 * Promises:
 * G1. Linear in the length of the content, whatever it is: pieces are small and their costly marks are on a budget.
 * G2. HTML inside is read as HTML: its headings, links, images and tables count.
 */
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmFromMarkdown } from 'mdast-util-gfm';
import { gfm } from 'micromark-extension-gfm';
import { cleanse, unmask } from './budget.ts';
import { feedHtml } from './html.ts';
import { type Lines, lineAt, linesOf } from './lines.ts';
import { Collector, type Parsed } from './model.ts';
import { cut, type Definition, normalizeLabel, type Piece, type Pieces } from './pieces.ts';

const options = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] };

/** Of the nodes of the parser, what is read here. */
interface Node {
  readonly type: string;
  readonly children?: readonly Node[];
  readonly value?: string;
  readonly depth?: number;
  readonly lang?: string | null;
  readonly url?: string;
  readonly alt?: string | null;
  readonly title?: string | null;
  /** Of a reference or a definition. */
  readonly label?: string | null;
  readonly position?: { readonly start: { readonly line: number } };
}

/** @param start where the document proper begins, behind its front matter */
export function* readMarkdown(content: string, start = 0): Generator<void, Parsed> {
  const clean = cleanse(content);
  const lines = linesOf(clean);
  const out = new Collector(lines);
  const all = yield* cut(clean, start, lineAt(lines, start) - 1);
  for (const piece of all.pieces) {
    yield* new PieceReader(out, piece, all, lines).read();
    yield;
  }
  return out;
}

class PieceReader {
  readonly #out: Collector;
  readonly #piece: Piece;
  readonly #all: Pieces;
  readonly #lines: Lines;
  /** Definitions that only the parser understood: over several lines, say. */
  readonly #local = new Map<string, Definition>();
  #openLink: { href: string; title: string | undefined; text: string } | undefined;

  constructor(out: Collector, piece: Piece, all: Pieces, lines: Lines) {
    this.#out = out;
    this.#piece = piece;
    this.#all = all;
    this.#lines = lines;
  }

  *read(): Generator<void, void> {
    const own = this.#piece.text.split(/\r\n|\n|\r/).length;
    const tree = fromMarkdown(this.#piece.text + this.#definitions(), options) as Node;
    for (const { type, label, url = '', title } of tree.children ?? []) {
      if (type === 'definition' && label)
        this.#local.set(normalizeLabel(unmask(label)), { href: url, title: title ?? undefined });
    }
    for (const node of tree.children ?? []) {
      if ((node.position?.start.line ?? 1) <= own) yield* this.#block(node, 'paragraph');
    }
  }

  /** Makes the labels this piece refers to known to the parser. The address is looked up later, so these lines stay short. */
  #definitions(): string {
    const { text, open } = this.#piece;
    const { definitions, footnotes } = this.#all;
    if (open || definitions.size + footnotes.size === 0) return '';
    const added = new Set<string>();
    let out = '';
    for (const [, label = ''] of text.matchAll(/\[([^[\]\\]{1,200})\]/g)) {
      const key = normalizeLabel(label);
      if (added.has(key)) continue;
      added.add(key);
      const footnote = label.startsWith('^') && footnotes.has(normalizeLabel(label.slice(1)));
      if (footnote || definitions.has(key)) out += `\n\n[${label.replace(/\s+/g, ' ')}]: known`;
    }
    return out;
  }

  /** The address and title behind a resolved reference. */
  #target(label: string | undefined): Definition | undefined {
    const key = label === undefined ? '' : normalizeLabel(unmask(label));
    return this.#all.definitions.get(key) ?? this.#local.get(key);
  }

  *#block(node: Node, kind: 'paragraph' | 'item' | 'cell'): Generator<void, void> {
    switch (node.type) {
      case 'heading':
        return this.#out.heading(node.depth ?? 1, this.#inlineText(node), this.#offset(node));
      case 'paragraph':
        return this.#out.block(kind, this.#inlineText(node));
      case 'code':
        return this.#out.addCode(unmask(node.value ?? ''), node.lang ? unmask(node.lang) : undefined);
      case 'html':
        yield* feedHtml(this.#out, unmask(node.value ?? ''), this.#offset(node));
        return;
      case 'tableCell':
        return this.#out.block('cell', this.#inlineText(node));
      case 'definition':
      case 'thematicBreak':
        return;
      default:
        if (node.type === 'table') this.#out.tables += 1;
        for (const child of node.children ?? []) yield* this.#block(child, node.type === 'listItem' ? 'item' : kind);
    }
  }

  #offset(node: Node): number {
    return this.#lines[this.#piece.line + (node.position?.start.line ?? 1) - 1] ?? 0;
  }

  #inlineText(node: Node): string {
    const text = this.#inline(node);
    this.#endHtmlLink();
    return unmask(text);
  }

  /** The text of an inline node; links and images on the way are collected in their order. */
  #inline(node: Node): string {
    if (node.type === 'text' || node.type === 'inlineCode') return this.#seen(node.value ?? '');
    if (node.type === 'break') return this.#seen(' ');
    if (node.type === 'html') return this.#inlineHtml(unmask(node.value ?? ''));
    if (node.type === 'image' || node.type === 'imageReference') {
      const { href, title } = this.#address(node);
      this.#out.image(href, unmask(node.alt ?? ''), title);
      return '';
    }
    if (node.type === 'footnoteReference') return '';
    if (node.type !== 'link' && node.type !== 'linkReference') return this.#children(node);
    const { href, title } = this.#address(node);
    const from = this.#out.links.length;
    const text = this.#children(node);
    const inside = this.#out.links.splice(from);
    const shown = text === '' ? inside.map((each) => each.text).join(' ') : unmask(text);
    this.#out.link(shown, href, title);
    this.#out.links.push(...inside);
    return text;
  }

  #children(node: Node): string {
    return (node.children ?? []).map((child) => this.#inline(child)).join('');
  }

  #address(node: Node): { href: string; title: string | undefined } {
    if (node.url !== undefined) return { href: unmask(node.url), title: node.title ? unmask(node.title) : undefined };
    const definition = this.#target(node.label ?? undefined);
    return { href: unmask(definition?.href ?? ''), title: definition?.title };
  }

  #seen(text: string): string {
    if (this.#openLink !== undefined) this.#openLink.text += text;
    return text;
  }

  /** `<a href>` and `<img>` in the middle of a sentence; any other tag is nothing to see. */
  #inlineHtml(tag: string): string {
    if (/^<a[\s>]/i.test(tag)) {
      this.#endHtmlLink();
      const probe = probeTag(tag);
      const link = probe.links[0];
      if (link !== undefined) this.#openLink = { href: link.href, title: link.title, text: '' };
    } else if (/^<\/a\s*>/i.test(tag)) this.#endHtmlLink();
    else if (/^<img[\s/>]/i.test(tag)) {
      for (const { source, alt, title } of probeTag(tag).images) this.#out.image(source, alt, title);
    }
    return /^<br[\s/>]/i.test(tag) ? ' ' : '';
  }

  #endHtmlLink(): void {
    if (this.#openLink === undefined) return;
    this.#out.link(unmask(this.#openLink.text), this.#openLink.href, this.#openLink.title);
    this.#openLink = undefined;
  }
}

/** What one tag alone holds. */
function probeTag(tag: string): Collector {
  const out = new Collector([0]);
  const steps = feedHtml(out, `${tag}</a>`, 0);
  while (steps.next().done !== true);
  return out;
}
