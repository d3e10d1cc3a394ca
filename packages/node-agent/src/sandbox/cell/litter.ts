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

type Collect = (how: { readonly type: 'minor' | 'major' }) => void;

/** The engine's own; taken once, before there is a guest, and not to be had in any context after this. */
function engine(): Collect {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as Collect;
  setFlagsFromString('--no-expose-gc');
  return collect;
}

/** @returns told of bytes that passed, in either direction */
export function createLitter(collect: Collect = engine()): (bytes: number) => void {
  let young = 0;
  let all = 0;
  return (bytes) => {
    young += bytes;
    all += bytes;
    if (young < MINOR_BYTES) return;
    young = 0;
    const type = all < MAJOR_BYTES ? 'minor' : 'major';
    if (type === 'major') all = 0;
    collect({ type });
  };
}
