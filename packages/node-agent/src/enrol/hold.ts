/**
 * Holds answers back while the link to the hub is about to change: a link made with a credential that ends is cut by the hub, and an answer
 * sent then, before the link is back, would be lost. The calls themselves go on; only their answers wait until the hub is heard again.
 *
 * The cut does not come at the end itself: nats-server counts the whole seconds left when the link is made, from the second that had begun
 * then. A link made 0.37 s into a second is cut 0.37 s after the end. Until that moment the hub answers over the old link.
 *
 * Promises:
 * H1. It closes shortly before the end. It opens when the hub answers over another link than before (the cut was seen), or answers after
 *     the last moment a cut can come; at a deadline in any case.
 * H2. While it is open it costs one comparison a call.
 */
import type { Clock, Timer } from '@cim/contracts';

export interface AnswerHold {
  /** Undefined while answers may go; else what to wait for. */
  closed(): Promise<void> | undefined;
  /** Plans one for the moment an old credential ends, ms since 1970. */
  plan(endsAtMs: number): void;
  stop(): void;
}

/** What asking the hub showed: an answer; that there is no link (our own leaf says so); or neither, which proves nothing. */
export type HubSign = 'heard' | 'no-link' | 'silent';

export interface AnswerHoldDeps {
  readonly clock: Clock;
  /** Asks the hub over the link as it is now; never rejects, and ends soon. */
  readonly askHub: () => Promise<HubSign>;
}

/** A hub's clock may be a little ahead of ours, and what was sent before must have arrived. */
const BEFORE_MS = 300;
/** A cut follows the end within this: the second that had begun, and some for a hub that is busy or whose clock is behind. */
const LATEST_CUT_MS = 1_300;
/** Far less than a link takes to come back. */
const PAUSE_MS = 20;
const DEADLINE_MS = 10_000;
/** Looks at the clock this often on the way: an end may be further off than a timer reaches, and the clock may be set meanwhile. */
const LOOK_MS = 60_000;

export function createAnswerHold({ clock, askHub }: AnswerHoldDeps): AnswerHold {
  let gate: { readonly open: Promise<void>; readonly resolve: () => void } | undefined;
  let timer: Timer | undefined;
  const stopping = new AbortController();

  const hold = async (endsAtMs: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = { open: promise, resolve };
    const begun = clock.monotonic();
    const cutBy = begun + endsAtMs + LATEST_CUT_MS - clock.now();
    let cut = false;
    try {
      while (clock.monotonic() - begun < DEADLINE_MS) {
        const asked = clock.monotonic();
        const sign = await askHub();
        if (sign === 'no-link') cut = true;
        if (sign === 'heard' && (cut || asked >= cutBy)) break;
        await clock.sleep(PAUSE_MS, stopping.signal);
      }
    } catch {
      // Stopping: whatever waits goes out now.
    }
    gate = undefined;
    resolve();
  };

  const plan = (endsAtMs: number) => {
    timer?.cancel();
    const left = endsAtMs - BEFORE_MS - clock.now();
    timer =
      left > LOOK_MS ? clock.after(LOOK_MS, () => plan(endsAtMs)) : clock.after(Math.max(0, left), () => void hold(endsAtMs));
  };

  return {
    closed: () => gate?.open,
    plan,
    stop() {
      timer?.cancel();
      stopping.abort(new Error('stopping'));
    },
  };
}
