/** Hash chains: C1 to C4 of chain.ts, as properties over any log of JSON bodies. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChainEntry, chainVerifier, entryHash, genesis, headOf, link, verifyChain } from '../src/chain.ts';

const text = fc.string({ maxLength: 12 });
const bodies = fc.array(fc.oneof(fc.record({ a: text, n: fc.integer() }), text, fc.integer(), fc.constant(null)), {
  minLength: 1,
  maxLength: 12,
});

function chainOf(list: readonly unknown[], chain = 'test'): ChainEntry[] {
  const entries: ChainEntry[] = [];
  for (const body of list) {
    const last = entries.at(-1);
    entries.push(link(chain, last && headOf(last), body));
  }
  return entries;
}

/** A bodies list with a place in it. */
const placed = bodies.chain((list) => fc.tuple(fc.constant(list), fc.nat(list.length - 1)));

describe('a hash chain', () => {
  it('is whole as it was linked, in one go or from any head on', () => {
    fc.assert(
      fc.property(placed, ([list, at]) => {
        const entries = chainOf(list);
        const last = headOf(entries.at(-1) as ChainEntry);
        expect(verifyChain('test', entries)).toEqual({ kind: 'whole', head: last });
        const from = headOf(entries[at] as ChainEntry);
        expect(verifyChain('test', entries.slice(at + 1), { from })).toEqual({ kind: 'whole', head: last });
        expect(verifyChain('test', entries.slice(at), { from: 'first' })).toEqual({ kind: 'whole', head: last });
      }),
    );
    expect(verifyChain('test', [])).toEqual({ kind: 'whole', head: undefined });
  });

  it('tells a dropped entry as a gap, at its place', () => {
    fc.assert(
      fc.property(placed, ([list, at]) => {
        const entries = chainOf(list);
        const verdict = verifyChain('test', entries.toSpliced(at, 1));
        // The last one cannot be missed by who has no head to compare with; a remembered head can.
        if (at < entries.length - 1) expect(verdict).toMatchObject({ kind: 'gap', position: at + 1, found: at + 2 });
        else expect(verdict.kind).toBe('whole');
      }),
    );
  });

  it('tells a changed body as tampered, and as a fork when the hash was made to fit', () => {
    fc.assert(
      fc.property(placed, ([list, at]) => {
        const entries = chainOf(list);
        const entry = entries[at] as ChainEntry;
        const body = { changed: entry.body };
        expect(verifyChain('test', entries.with(at, { ...entry, body }))).toMatchObject({ kind: 'tampered', position: at + 1 });
        const fitting = { ...entry, body, hash: entryHash('test', { ...entry, body }) };
        const verdict = verifyChain('test', entries.with(at, fitting));
        if (at < entries.length - 1) expect(verdict).toMatchObject({ kind: 'fork', position: at + 2 });
        else expect(verdict).toMatchObject({ kind: 'whole', head: { hash: fitting.hash } });
      }),
    );
  });

  it('tells a rewritten history from a remembered head', () => {
    fc.assert(
      fc.property(placed, ([list, at]) => {
        const entries = chainOf([...list, 'more']);
        const from = headOf(entries[at] as ChainEntry);
        const other = chainOf([...list.with(at, { a: 'other', n: at }), 'more']);
        expect(verifyChain('test', other.slice(at + 1), { from })).toMatchObject({ kind: 'fork', position: at + 2 });
      }),
    );
  });

  it('tells an entry that comes again, and goes on where it was', () => {
    const [one, two] = chainOf(['a', 'b']) as [ChainEntry, ChainEntry];
    const verifier = chainVerifier('test');
    expect(verifier.push(one)).toBeUndefined();
    expect(verifier.push(one)).toMatchObject({ kind: 'fork', position: 1 });
    expect(verifier.push(two)).toBeUndefined();
    expect(verifier.head()).toEqual(headOf(two));
  });

  it('keeps chains apart by name, and places apart by number', () => {
    expect(verifyChain('other', chainOf(['a']))).toMatchObject({ kind: 'tampered', position: 1 });
    expect(genesis('a')).not.toBe(genesis('b'));
    const entry = { sequence: 2, previous: genesis('a'), body: 'x' };
    expect(entryHash('a', entry)).not.toBe(entryHash('a', { ...entry, sequence: 3 }));
    expect(() => genesis('A\0b')).toThrow(RangeError);
  });

  it('does not depend on the order of keys in a body', () => {
    const previous = genesis('a');
    expect(entryHash('a', { sequence: 1, previous, body: { x: 1, y: 2 } })).toBe(
      entryHash('a', { sequence: 1, previous, body: { y: 2, x: 1 } }),
    );
  });
});
