/** The headings as a reader links to them: an anchor for each, and the way down to it. */
import type { Heading } from './model.ts';

export interface OutlineEntry {
  readonly level: number;
  readonly text: string;
  /** Unique in the document: the author's own id, else made of the text as GitHub does. */
  readonly anchor: string;
  /** Anchors from the outermost heading down to this one, with `/` between. */
  readonly path: string;
  readonly position: { readonly line: number; readonly offset: number };
}

/** Small letters, no punctuation, `-` for spaces. */
function slug(text: string): string {
  const bare = text.toLowerCase().replace(/[^\p{L}\p{N}\p{M}\p{Pc}\s-]/gu, '');
  return bare.trim().replace(/\s/g, '-').slice(0, 120) || 'section';
}

export function outlineOf(headings: readonly Heading[]): OutlineEntry[] {
  const used = new Map<string, number>();
  const above: { level: number; anchor: string }[] = [];
  return headings.map(({ level, text, id, line, offset }) => {
    const anchor = unique(id ?? slug(text), used);
    while (above.length > 0 && above.at(-1)!.level >= level) above.pop();
    above.push({ level, anchor });
    return { level, text, anchor, path: above.map((each) => each.anchor).join('/'), position: { line, offset } };
  });
}

function unique(wanted: string, used: Map<string, number>): string {
  const count = used.get(wanted);
  used.set(wanted, (count ?? 0) + 1);
  if (count === undefined) return wanted;
  // `a`, `a`, `a-1`: what is made must not be what someone wrote.
  return unique(`${wanted}-${count}`, used);
}
