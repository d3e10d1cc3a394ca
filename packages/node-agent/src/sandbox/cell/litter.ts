/**
 * What passes through a cell leaves buffers and strings behind that are dead at once, and that V8 sees no reason to collect for long: they
 * would make an honest cell look twice as large as it is, and near its limit cost it its life. So litter is collected by the amount that
 * passed, not when the engine feels like it.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes after which the young are collected (a millisecond), and all (a few). */
const MINOR_BYTES = 4 * 2 ** 20;
const MAJOR_BYTES = 24 * 2 ** 20;

type Collect = (how: { readonly type: 'minor' | 'major'; readonly flavor?: 'last-resort' }) => void;

export interface Litter {
  /** Told of bytes that passed, in either direction. */
  passed(bytes: number): void;
  /** Gives back all that can be, to the last empty page; what was only ever needed once is gone too. Takes some 15 ms. */
  clear(): void;
}

/** The engine's own; taken once, before there is a guest, and not to be had in any context after this. */
function engine(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}

export function createLitter(collect: Collect = engine()): Litter {
  let young = 0;
  let all = 0;
  return {
    passed(bytes) {
      young += bytes;
      all += bytes;
      if (young < MINOR_BYTES) return;
      young = 0;
      const type = all < MAJOR_BYTES ? 'minor' : 'major';
      if (type === 'major') all = 0;
      collect({ type });
    },
    clear: () => collect({ type: 'major', flavor: 'last-resort' }),
  };
}
