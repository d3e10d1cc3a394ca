/**
 * The guest's default export, checked against the manifest the node has verified: what the manifest promises must be there.
 * Reading it may run guest code (getters), so it happens inside a timed call.
 */
import type { GuestFault, Opening } from '../protocol.ts';
import { faultText } from './faults.ts';
import { type Check, checkOf, sentence } from './schema.ts';

type AnyFunction = (...args: any[]) => unknown;

export interface Handler {
  readonly name: string;
  readonly self: unknown;
  readonly run: AnyFunction;
  readonly input: Check | undefined;
  readonly output: Check | undefined;
}

/** The functions of a workload, in the order the opening names them. */
export interface Definition {
  readonly capabilities: readonly Handler[];
  readonly subscribe: readonly Handler[];
  readonly schedule: readonly Handler[];
  readonly start: Handler | undefined;
  readonly stop: Handler | undefined;
  readonly health: Handler | undefined;
}

class Refused extends Error {
  readonly issues: GuestFault['issues'];
  constructor(message: string, issues?: GuestFault['issues']) {
    super(message);
    this.issues = issues;
  }
}
/** What is wrong with a definition as a fault, or undefined when `error` is something else. */
export const refusal = (error: unknown): string | undefined =>
  error instanceof Refused ? faultText('start-failed', error.message, '', error.issues) : undefined;

const handler = (self: any, key: string, path: string, name = key, input?: unknown, output?: unknown): Handler => {
  const run = typeof self === 'object' && self !== null ? self[key] : undefined;
  if (typeof run !== 'function') throw new Refused(`${path}: expected a function, found ${run === null ? 'null' : typeof run}`);
  return { name, self, run, input: checkOf(input), output: checkOf(output) };
};

/** @throws an error of {@link refusal} */
export function readDefinition(exported: any, opening: Opening): Definition {
  if (typeof exported !== 'object' || exported === null) {
    throw new Refused(`default export: expected what defineAgent or defineService returns, found ${typeof exported}`);
  }
  const { kind } = opening.workload;
  if (exported.kind !== kind || exported.api !== 1) {
    throw new Refused(
      `default export: expected kind "${kind}" and api 1, as the manifest says; use define${kind === 'agent' ? 'Agent' : 'Service'}`,
    );
  }
  const { hooks } = opening;
  if (opening.configSchema !== undefined) {
    const issues = checkOf(opening.configSchema)?.(opening.config);
    if (issues) throw new Refused(`config does not fit configSchema: ${sentence(issues)}`, issues);
  }
  return {
    capabilities: opening.capabilities.map(({ name, input, output }) =>
      handler(exported.capabilities?.[name], 'handle', `capabilities["${name}"].handle`, name, input, output),
    ),
    subscribe: opening.subscribe.map((subject) => handler(exported.subscribe, subject, `subscribe["${subject}"]`)),
    schedule: opening.schedule.map((name) => handler(exported.schedule?.[name], 'run', `schedule["${name}"].run`)),
    start: hooks.start ? handler(exported, 'start', 'start') : undefined,
    stop: hooks.stop ? handler(exported, 'stop', 'stop') : undefined,
    health: hooks.health ? handler(exported, 'health', 'health') : undefined,
  };
}
