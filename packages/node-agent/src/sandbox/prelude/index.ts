/**
 * The prelude: bundled into one script and run in every isolate before guest code. It leaves one function on the global object, which
 * the cell takes away when it calls it.
 */
import type { Opening } from '../protocol.ts';
import { openContext } from './context.ts';
import { openOutbox } from './outbox.ts';
import { openParts } from './parts.ts';
import { openPlatform } from './platform.ts';
import { bare, freeze, keys, parse } from './primordials.ts';
import { loadSchemas } from './schema.ts';
import { api, openWrapper, uncaught } from './wrapper.ts';

/** JSON values all the way down. */
function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const key of keys(value)) deepFreeze((value as Record<string, unknown>)[key]);
  return freeze(value);
}

const scope = globalThis as unknown as Record<string, unknown>;

/** @returns the functions the cell calls, on an object without a prototype */
scope['cimBoot'] = (
  text: string | [string],
  entropy: (bytes: number) => string,
  nudge: () => void,
  load: (name: string) => never,
): object => {
  delete scope['cimBoot'];
  const opening = parse(typeof text === 'string' ? text : text[0]) as Opening;
  const { capabilities, configSchema } = opening;
  openParts(load);
  openOutbox(nudge);
  openWrapper(opening);
  openContext({ ...opening.workload }, deepFreeze(opening.config));
  openPlatform(entropy, uncaught, opening.language ?? []);
  if (configSchema !== undefined || capabilities.some(({ input, output }) => input !== undefined || output !== undefined))
    loadSchemas();
  const doors = bare<unknown>();
  for (const name of keys(api)) doors[name] = (api as Record<string, unknown>)[name];
  return doors;
};
