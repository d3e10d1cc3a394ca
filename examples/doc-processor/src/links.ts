/** What a link leads to, and links in plain text. */

export type LinkKind = 'internal' | 'external' | 'mail' | 'anchor' | 'image' | 'other';

export interface Link {
  readonly text: string;
  readonly href: string;
  readonly kind: LinkKind;
  readonly title?: string;
}

/** By the form of the address alone: a path stays in the house, a host does not. `other` is `tel:`, `javascript:` and the like. */
export function linkKind(href: string): LinkKind {
  const address = href.trim();
  if (address.startsWith('#')) return 'anchor';
  if (address.startsWith('//')) return 'external';
  const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]{0,30}):/.exec(address)?.[1]?.toLowerCase();
  if (scheme === undefined) return 'internal';
  if (scheme === 'mailto') return 'mail';
  return ['http', 'https', 'ftp', 'ftps', 'sftp', 'ws', 'wss'].includes(scheme) ? 'external' : 'other';
}

/** Addresses written out in plain text, in order of appearance. Linear: every address is cut out around a fixed mark. */
export function linksInText(text: string): { text: string; href: string }[] {
  const found: { at: number; text: string; href: string }[] = [];
  for (const match of text.matchAll(/\b(?:https?:\/\/|www\.)[^\s<>"'`]{1,2000}/gi)) {
    const shown = trimEnd(match[0]);
    if (shown.length > 8) found.push({ at: match.index, text: shown, href: /^www\./i.test(shown) ? `http://${shown}` : shown });
  }
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    // A local part has at most 64 characters, a domain 253: nothing further away can belong to this mark.
    const local = /[\p{L}\p{N}._%+-]+$/u.exec(text.slice(Math.max(0, at - 64), at))?.[0];
    const domain = /^(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}/u.exec(text.slice(at + 1, at + 254))?.[0];
    const before = local === undefined ? '' : text[at - local.length - 1];
    // `/` and `:` before it: the user part of an address that is already found.
    if (local !== undefined && domain !== undefined && before !== '/' && before !== ':') {
      found.push({ at: at - local.length, text: `${local}@${domain}`, href: `mailto:${local}@${domain}` });
    }
  }
  return found.sort((a, b) => a.at - b.at).map(({ text: shown, href }) => ({ text: shown, href }));
}

/** Without the punctuation of the sentence around it; a closing bracket stays when it was opened inside. */
function trimEnd(address: string): string {
  let end = address.length;
  for (; end > 0; end--) {
    const last = address[end - 1]!;
    if (last === ')' && address.slice(0, end).includes('(')) break;
    if (!'.,;:!?)]}*_'.includes(last)) break;
  }
  return address.slice(0, end);
}
