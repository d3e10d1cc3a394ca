/**
 * Waits until a node has done what a desired document says, and tells each step once as it is seen.
 *
 * Promises:
 * W1. Every wait ends: with `done`, with the node's reason, or with `not-confirmed` at the deadline.
 * W2. A look that fails (registry restarting, NATS away for a moment) is no verdict; the next look decides.
 */
import { backoffDelay, type Clock, Fault, type WorkloadStatus } from '@cim/contracts';
import { type Expectation, read, type StepKind } from './progress.ts';

/** What the node says of the workload now; undefined when it does not list it. */
export type Look = (
  signal: AbortSignal | undefined,
) => Promise<{ readonly status: WorkloadStatus | undefined; readonly presence: 'online' | 'unknown' }>;

export interface WaitOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep: (kind: StepKind, detail: string) => void;
}

const PACE = { base: 40, cap: 500, factor: 1.5 };

/** @throws Fault the node's reason, or `not-confirmed` with how far it was */
export async function waitConverged(
  look: Look,
  expected: Expectation,
  options: WaitOptions,
): Promise<WorkloadStatus | undefined> {
  const { clock, random, timeoutMs, signal, onStep } = options;
  const end = clock.monotonic() + timeoutMs;
  const told = new Set<StepKind>();
  const tell = (steps: readonly StepKind[], detail: string) => {
    for (const step of steps) {
      if (told.has(step)) continue;
      told.add(step);
      onStep(step, sentence(step, expected, detail));
    }
  };
  let last = 'nothing heard of the node yet';
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const { status, presence } = await look(signal);
      // A node nobody hears of has removed nothing, whatever its last list says.
      const silent = presence === 'unknown';
      const reading = silent && expected.removal ? undefined : read(status, expected);
      if (reading?.kind === 'done' && !(silent && status === undefined)) {
        tell(reading.steps, '');
        return status;
      }
      if (reading?.kind === 'failed') throw new Verdict(reading.fault);
      if (reading?.kind === 'waiting') {
        tell(reading.steps, reading.detail);
        last = silent ? `${expected.instance} is not heard of; last known: ${reading.detail}` : reading.detail;
      } else last = `${expected.instance} is not heard of (no heartbeat)`;
    } catch (error) {
      if (error instanceof Verdict) throw error.fault;
      signal?.throwIfAborted();
      const fault = Fault.of(error);
      if (fault.row.retry === 'no') throw fault;
      last = `cannot see the node: ${fault.detail}`;
    }
    const left = end - clock.monotonic();
    if (left <= 0) {
      const what = expected.removal ? `the removal of ${expected.name}` : `${expected.name}@${expected.version}`;
      throw new Fault('not-confirmed', `${what} on ${expected.instance} is not confirmed after ${timeoutMs} ms: ${last}`);
    }
    await clock.sleep(Math.min(left, backoffDelay(PACE, attempt, random())), signal);
  }
}

class Verdict extends Error {
  readonly fault: Fault;
  constructor(fault: Fault) {
    super(fault.message);
    this.fault = fault;
  }
}

function sentence(step: StepKind, { name, version, instance, generation }: Expectation, detail: string): string {
  switch (step) {
    case 'seen':
      return `${instance} works on generation ${generation}`;
    case 'fetching':
      return `${instance} fetches and verifies ${name}@${version}`;
    case 'starting':
      return `${instance} starts ${name}@${version}`;
    case 'backing-off':
      return `${instance} tries again: ${detail}`;
    case 'ready':
      return `${name}@${version} answers on ${instance}`;
    case 'draining':
      return `${instance} lets running calls end`;
    case 'removed':
      return `${name} is gone from ${instance}`;
    default:
      return step;
  }
}
