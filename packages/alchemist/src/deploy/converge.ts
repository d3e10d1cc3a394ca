/**
 * Waits until a node has done what a desired document says, and tells each step once as it is seen.
 *
 * Promises:
 * W1. Every wait ends: with `done`, with the node's reason, or with `not-confirmed` at the deadline.
 * W2. A look that fails (registry restarting, NATS away for a moment) is no verdict; the next look decides.
 */
import { backoffDelay, type Clock, desiredKey, ErrorCode, Fault, type NodeStatus, type WorkloadStatus } from '@cim/contracts';
import { type Expectation, read, type StepKind } from './progress.ts';

/** What is known of a node: its own word, how old that is, and whether it is heard of at all. */
export interface Sight {
  readonly node: NodeStatus | null;
  readonly presence: 'online' | 'unknown';
  /** Milliseconds since the node said it; 0 when it was asked itself. */
  readonly ageMs: number;
}
export type Look = (signal: AbortSignal | undefined) => Promise<Sight>;

/** The workload in a sight; undefined when the node does not list it. */
export function workloadIn({ node }: Sight, { kind, name }: { readonly kind: string; readonly name: string }) {
  return node?.workloads.find((one) => one.kind === kind && one.name === name);
}

export interface WaitOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep: (kind: StepKind, detail: string) => void;
}

const REFUSAL_STAYS_MS = 1_500;
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
  const begun = clock.monotonic();
  let last = 'nothing heard of the node yet';
  let refusedSince: number | undefined;
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const sight = await look(signal);
      const status = workloadIn(sight, expected);
      const reading = read(status, expected);
      // A node nobody hears of has removed nothing, and a word from before the change does not answer to it.
      const tells = sight.presence === 'online' && (status !== undefined || sight.ageMs < clock.monotonic() - begun);
      const done = reading.kind === 'done' && (tells || !expected.removal);
      if (done) {
        tell(reading.steps, '');
        return status;
      }
      if (reading.kind === 'failed') throw new Verdict(reading.fault);
      const refusal = refusalOf(sight.node, expected);
      refusedSince = refusal && (refusedSince ?? clock.monotonic());
      // The node may still speak of the document before this one: only a refusal that stays is about ours.
      if (refusal && clock.monotonic() - refusedSince! >= REFUSAL_STAYS_MS) throw new Verdict(refusal);
      if (reading.kind === 'waiting') {
        tell(reading.steps, reading.detail);
        last = reading.detail;
      }
      if (sight.presence === 'unknown') last = `${expected.instance} is not heard of (no heartbeat); last known: ${last}`;
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

/** The node's refusal of the document of this workload, from its conditions. */
function refusalOf(node: NodeStatus | null, { instance, kind, name }: Expectation): Fault | undefined {
  const begins = `${desiredKey({ instance, kind, name })}: `;
  const found = node?.conditions.find(({ code, detail }) => code === 'desired-refused' && detail.startsWith(begins));
  if (!found) return undefined;
  const said = found.detail.slice(begins.length);
  const code = ErrorCode.safeParse(said.split(':', 1)[0]);
  return new Fault(code.success ? code.data : 'policy-refused', `${instance} refuses the document: ${said}`);
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
      return `${instance} tries again: ${detail.replace(/^backing-off: /, '')}`;
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
