/**
 * Whether the fuzzer finds anything: three defects are planted into the daemon's side, one at a time, each of a kind that would be a hole and
 * that no other test of a single part would have to show. Each must be found within {@link BUDGET_MS}, the time the fuzzer has in `npm test`.
 *
 * A defect is planted by giving the product's modules anew with one of them changed (`vi.doMock`), and loading the fuzzer on top. To try
 * another: write what the changed module exports, and see that the fuzzer's line names a broken promise.
 */
import { afterEach, expect, test, vi } from 'vitest';

const BUDGET_MS = 8_000;
const SANDBOX = '../../packages/node-agent/src/sandbox';

type Frames = typeof import('../../packages/node-agent/src/sandbox/frames.ts');
type Ledgers = typeof import('../../packages/node-agent/src/sandbox/ledger.ts');
type RecordsModule = typeof import('../../packages/node-agent/src/sandbox/records.ts');

afterEach(() => {
  vi.doUnmock(`${SANDBOX}/frames.ts`);
  vi.doUnmock(`${SANDBOX}/ledger.ts`);
  vi.doUnmock(`${SANDBOX}/records.ts`);
  vi.resetModules();
});

async function found(): Promise<string> {
  vi.resetModules();
  const { fuzzFor } = await import('./fuzz.ts');
  const begun = performance.now();
  const { line, failures } = await fuzzFor(BUDGET_MS, 20_261_123);
  process.stdout.write(`planted, ${line.split('\n')[1] ?? line} (${Math.round(performance.now() - begun)} ms)\n`);
  return failures === 0 ? 'nothing' : line;
}

test('two cells share the room for unfinished frames: an answer goes astray', { timeout: 60_000 }, async () => {
  vi.doMock(`${SANDBOX}/frames.ts`, async (original) => {
    const real = await original<Frames>();
    const shared = new Map<number, InstanceType<Frames['FrameReader']>>();
    class FrameReader {
      readonly #limit: number;
      constructor(limit: number) {
        this.#limit = limit;
      }
      push(...given: Parameters<InstanceType<Frames['FrameReader']>['push']>): void {
        const reader = shared.get(this.#limit) ?? new real.FrameReader(this.#limit);
        shared.set(this.#limit, reader);
        reader.push(...given);
      }
    }
    return { ...real, FrameReader };
  });
  expect(await found()).toMatch(/broken: /);
});

test('an answer that comes twice ends somebody else: what is under way is miscounted', { timeout: 60_000 }, async () => {
  vi.doMock(`${SANDBOX}/ledger.ts`, async (original) => {
    const real = await original<Ledgers>();
    class Ledger extends real.Ledger {
      #repeats = 0;
      override get calls(): number {
        return super.calls + this.#repeats;
      }
      override remove(slot: number): ReturnType<InstanceType<Ledgers['Ledger']>['remove']> {
        const item = super.remove(slot);
        if (item === undefined) this.#repeats += 1;
        return item;
      }
    }
    return { ...real, Ledger };
  });
  expect(await found()).toMatch(/broken: Error: .*in flight/);
});

test('a batch that cannot be read is left to a promise nobody holds', { timeout: 60_000 }, async () => {
  vi.doMock(`${SANDBOX}/records.ts`, async (original) => {
    const real = await original<RecordsModule>();
    const readRecords: RecordsModule['readRecords'] = (...given) => void (async () => real.readRecords(...given))();
    return { ...real, readRecords };
  });
  expect(await found()).toMatch(/broken: Error: .*nobody caught/);
});
