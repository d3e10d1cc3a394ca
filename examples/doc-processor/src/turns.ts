/** Long work in short turns, so that an isolate never holds its thread for long. */

/** Longest stretch of work, in milliseconds, before others get their turn. */
const turn = 50;

/** Runs the work to its end, pausing where it yields. */
export async function inTurns<T>(work: Generator<void, T>): Promise<T> {
  let began = Date.now();
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (Date.now() - began >= turn) {
      await new Promise<void>((resolve) => {
        setTimeout(resolve, 0);
      });
      began = Date.now();
    }
  }
}

/** Runs the work at a stretch: where it is known to be short. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}
