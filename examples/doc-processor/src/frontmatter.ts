/**
 * The block of facts at the head of a document: YAML between `---`, TOML between `+++`.
 *
 * Promises:
 * R1. Read are plain keys with scalars and flat lists, which is what documents have there; what is more is left in `raw`.
 * R2. Values stay texts: whether `1.10` is a number or a version only the author knows.
 */

export interface FrontMatter {
  readonly format: 'yaml' | 'toml';
  readonly raw: string;
  readonly values: Readonly<Record<string, string | readonly string[]>>;
}

/** Longest block taken for front matter, in characters. */
const longest = 20_000;

/** @returns the facts and where the document proper begins; `undefined` when there are none */
export function readFrontMatter(content: string): { readonly frontMatter: FrontMatter; readonly end: number } | undefined {
  const opening = /^\ufeff?(---|\+\+\+)[ \t]*(?:\r\n|\n|\r)/.exec(content);
  if (opening === null) return undefined;
  const [head, mark] = opening as unknown as [string, string];
  const rest = content.slice(head.length, head.length + longest);
  const closing = (
    mark === '---' ? /(?:^|\r\n|\n|\r)(?:---|\.\.\.)[ \t]*(?:\r\n|\n|\r|$)/ : /(?:^|\r\n|\n|\r)\+\+\+[ \t]*(?:\r\n|\n|\r|$)/
  ).exec(rest);
  if (closing === null) return undefined;
  const raw = rest.slice(0, closing.index);
  const separator = mark === '---' ? ':' : '=';
  const values = readValues(raw, separator);
  // Two rules around a paragraph are no front matter.
  if (raw.trim() !== '' && Object.keys(values).length === 0) return undefined;
  return {
    frontMatter: { format: mark === '---' ? 'yaml' : 'toml', raw, values },
    end: head.length + closing.index + closing[0].length,
  };
}

function readValues(raw: string, separator: ':' | '='): Record<string, string | string[]> {
  const values = new Map<string, string | string[]>();
  let key: string | undefined;
  for (const line of raw.split(/\r\n|\n|\r/)) {
    if (/^\s*(?:#|$)/.test(line)) continue;
    const item = /^\s*- +(\S.*)$/.exec(line)?.[1];
    const current = key === undefined ? undefined : values.get(key);
    if (item !== undefined && key !== undefined && (current === '' || Array.isArray(current))) {
      values.set(key, [...(Array.isArray(current) ? current : []), scalar(item)]);
      continue;
    }
    const at = line.indexOf(separator);
    const name = at === -1 ? '' : line.slice(0, at).trim();
    if (!/^[\p{L}_][\p{L}\p{N}_.-]{0,99}$/u.test(name) || /^\s/.test(line)) continue;
    const value = line.slice(at + 1).trim();
    key = name;
    values.set(name, value.startsWith('[') && value.endsWith(']') ? list(value.slice(1, -1)) : scalar(value));
  }
  return Object.fromEntries(values);
}

function scalar(text: string): string {
  const value = text.trim();
  const quoted = /^"([^"]*)"|^'([^']*)'/.exec(value);
  return quoted === null ? value.replace(/\s#.*$/, '').trim() : (quoted[1] ?? quoted[2] ?? '');
}

function list(inner: string): string[] {
  return (inner.match(/"[^"]*"|'[^']*'|[^,]+/g) ?? []).map(scalar).filter((each) => each !== '');
}
