/**
 * The one loop: something woke it, it compares what should be with what is, and takes the steps that follow.
 *
 * Promises:
 * L1. Level-triggered: why it was woken does not matter. Wakes that come together are one pass; passes never overlap.
 * L2. A pass waits for nothing: what a step begins reports back by waking the loop again.
 * L3. A pass that throws is logged and tried again; heavy planning never takes more than a quarter of the daemon's time.
 */
import type { Clock, Logger, Timer } from '@cim/contracts';
import type { Capacity } from '../core/admit.ts';
import { defaultPlanPolicy, type PlanPolicy, plan, type Seen, type Step, type Wanted } from '../core/plan.ts';
import type { Held } from '../desired/store.ts';

/** What the loop asks of the supervisor. */
export interface Reconciled {
  want(held: readonly Held[]): void;
  wanted(): readonly Wanted[];
  observed(): readonly Seen[];
  apply(steps: readonly Step[]): void;
}

export interface ReconcilerOptions {
  /** Told how long each pass took, ms. */
  readonly observe?: (ms: number) => void;
  readonly desired: () => readonly Held[];
  readonly supervisor: Reconciled;
  readonly capacity: () => Capacity;
  readonly policy?: PlanPolicy;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Reconciler {
  /** Asks for a pass. Cheap; call it whenever something may have changed. */
  wake(why: string): void;
  /** No pass begins any more. */
  stop(): void;
}

/** A rest shorter than this is none, ms: a few milliseconds of planning are no burden, and a timer is no shorter. */
const LIGHT_MS = 2;
/** How many times as long as a pass the rest after it is: with a thousand workloads each of theirs that starts would be a pass over all. */
const REST = 3;
/** After a pass that threw, ms. */
const AGAIN_MS = 1_000;

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { clock, log, supervisor } = options;
  const policy = options.policy ?? defaultPlanPolicy;
  type State =
    | { readonly kind: 'resting'; readonly timer: Timer | undefined }
    /** A pass is due; `timer` where it waits for the last one's time to be made up for. */
    | { readonly kind: 'woken'; readonly timer: Timer | undefined }
    | { readonly kind: 'passing'; again: boolean }
    | { readonly kind: 'stopped' };
  let state: State = { kind: 'resting', timer: undefined };
  let notBefore = 0;

  const pass = () => {
    if (state.kind !== 'woken') return;
    const passing = { kind: 'passing' as const, again: false };
    state = passing;
    const begun = clock.monotonic();
    let next: number | undefined;
    try {
      supervisor.want(options.desired());
      const steps = plan(supervisor.wanted(), supervisor.observed(), options.capacity(), policy, begun);
      supervisor.apply(steps);
      const last = steps.at(-1);
      if (last?.kind === 'wait') next = last.until;
    } catch (error) {
      log.error({ error: (error as Error).stack ?? String(error) }, 'a pass of the reconciler failed');
      next = clock.monotonic() + AGAIN_MS;
    }
    const ended = clock.monotonic();
    options.observe?.(ended - begun);
    notBefore = ended + REST * (ended - begun);
    // The state may have become `stopped` in the meantime.
    if ((state as State) !== passing) return;
    state = { kind: 'resting', timer: undefined };
    if (passing.again) wake();
    else if (next !== undefined) state = { kind: 'resting', timer: clock.after(Math.max(next - ended, 1), wake) };
  };

  const wake = () => {
    if (state.kind === 'passing') state.again = true;
    if (state.kind !== 'resting') return;
    state.timer?.cancel();
    const rest = notBefore - clock.monotonic();
    if (rest < LIGHT_MS) {
      state = { kind: 'woken', timer: undefined };
      queueMicrotask(pass);
    } else state = { kind: 'woken', timer: clock.after(rest, pass) };
  };

  return {
    wake,
    stop() {
      if (state.kind === 'resting' || state.kind === 'woken') state.timer?.cancel();
      state = { kind: 'stopped' };
    },
  };
}
