/**
 * A tokenizer for htmlparser2 that keeps its tree shallow.
 *
 * The parser holds open elements in an array and searches it at every end tag: with a hundred thousand open elements
 * that is quadratic. Elements below {@link deepest} are therefore not opened; their text counts, their end tags are
 * swallowed in turn.
 */
import { Tokenizer, type TokenizerCallbacks } from 'htmlparser2';

/** Deepest nesting that is followed. Documents people write stay below 50. */
const deepest = 256;

/** @param content what will be written to the parser, in one piece; `depth` tells how many elements are open */
export function shallowTokenizer(content: string, depth: () => number): typeof Tokenizer {
  return class extends Tokenizer {
    constructor(options: ConstructorParameters<typeof Tokenizer>[0], callbacks: TokenizerCallbacks) {
      super(options, shallow(content, depth, callbacks));
    }
  };
}

function shallow(content: string, depth: () => number, to: TokenizerCallbacks): TokenizerCallbacks {
  const swallowed = new Map<string, number>();
  let skipping = false;
  const nameAt = (start: number, end: number): string => content.slice(start, end).toLowerCase();
  return {
    onopentagname(start, end) {
      skipping = depth() >= deepest;
      if (!skipping) return to.onopentagname(start, end);
      const name = nameAt(start, end);
      swallowed.set(name, (swallowed.get(name) ?? 0) + 1);
    },
    onopentagend(end) {
      if (!skipping) to.onopentagend(end);
      skipping = false;
    },
    onselfclosingtag(end) {
      if (!skipping) to.onselfclosingtag(end);
      skipping = false;
    },
    onclosetag(start, end) {
      const name = swallowed.size === 0 ? '' : nameAt(start, end);
      const count = swallowed.get(name);
      if (count === undefined) return to.onclosetag(start, end);
      if (count > 1) swallowed.set(name, count - 1);
      else swallowed.delete(name);
    },
    onattribname: (start, end) => (skipping ? undefined : to.onattribname(start, end)),
    onattribdata: (start, end) => (skipping ? undefined : to.onattribdata(start, end)),
    onattribentity: (codepoint) => (skipping ? undefined : to.onattribentity(codepoint)),
    onattribend: (quote, end) => (skipping ? undefined : to.onattribend(quote, end)),
    ontext: (start, end) => to.ontext(start, end),
    ontextentity: (codepoint, end) => to.ontextentity(codepoint, end),
    oncdata: (start, end, offset) => to.oncdata(start, end, offset),
    oncomment: (start, end, offset) => to.oncomment(start, end, offset),
    ondeclaration: (start, end) => to.ondeclaration(start, end),
    onprocessinginstruction: (start, end) => to.onprocessinginstruction(start, end),
    isInForeignContext: () => to.isInForeignContext?.() ?? false,
    onend: () => to.onend(),
  };
}
