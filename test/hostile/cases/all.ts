/** Every hostile bundle, by theme. */
import type { Hostile } from '../case.ts';
import { answers } from './answers.ts';
import { hosts } from './hosts.ts';
import { loads } from './loads.ts';
import { memory } from './memory.ts';
import { poison } from './poison.ts';
import { promises } from './promises.ts';
import { reaches } from './reaches.ts';
import { spins } from './spins.ts';

export const themes: Readonly<Record<string, readonly Hostile[]>> = {
  spins,
  promises,
  memory,
  answers,
  poison,
  loads,
  hosts,
  reaches,
};

export const all: readonly Hostile[] = Object.values(themes).flat();
