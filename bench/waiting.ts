/** Waiting, with an end. */
const DEADLINE_MS = 300_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Asks every 50 ms until it is so. @throws Error after five minutes */
export async function until(test: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!(await test())) {
    if (performance.now() > end) throw new Error(`not so within ${DEADLINE_MS} ms`);
    await pause(50);
  }
}
