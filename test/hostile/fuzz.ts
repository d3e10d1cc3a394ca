/**
 * The fuzzer: what two cells say is made up at random, what one of them says is changed on its way to the daemon, frame by frame and byte by
 * byte. The daemon's side is the product's own code.
 *
 * Promises it checks, for any seed:
 * Z1. Nothing is thrown that nobody catches.
 * Z2. Every call ends once, by its deadline, with text its own cell has sent or with a Fault; never with what another cell has sent.
 * Z3. The calls of the cell that is not tampered with are all answered, each with its own answer.
 * Z4. When all is over nothing is left in a ledger: no call in flight, no request counted.
 */
import { Fault } from '@cim/contracts';
import fc from 'fast-check';
import type { Frame } from '../../packages/node-agent/src/sandbox/frames.ts';
import { encodeFromCell } from '../../packages/node-agent/src/sandbox/protocol.ts';
import type { Replica } from '../../packages/node-agent/src/sandbox/replica.ts';
import { openingFor } from './cells.ts';
import { batchOf, type Mutation, mutated, mutation, type Said, said } from './fuzz/arbitraries.ts';
import { pairOf } from './fuzz/pair.ts';

/** One run: what the tampered cell says in answer to each batch it is given, and what becomes of that. */
interface Script {
  readonly calls: number;
  readonly says: readonly (readonly Said[])[];
  readonly mutations: readonly Mutation[];
  /** Sizes of the pieces the bytes arrive in. */
  readonly pieces: readonly number[];
}

const MAX_REPLY = 4096;
const BUDGET_MS = 40;
/** Of calls that are answered at once: no machine is too busy for that. */
const HONEST_MS = 3_000;
const script: fc.Arbitrary<Script> = fc.record({
  calls: fc.integer({ min: 1, max: 6 }),
  says: fc.array(fc.array(said, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 5 }),
  mutations: fc.array(mutation, { maxLength: 4 }),
  pieces: fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 5 }),
});
/** Scripts that are played at the same time: most of a run is waiting for deadlines. */
const TOGETHER = 48;

const frameOf = (bytes: Buffer): Frame => ({
  kind: bytes[4]!,
  isolate: bytes.readUInt32BE(5),
  mark: bytes.readUInt32BE(9),
  payload: bytes.subarray(13),
  owned: true,
});

/** Answers every call of a batch with the tag and the slot, as an honest cell would. */
function honestly(isolate: number, head: string, tag: string): Buffer | undefined {
  const numbers = JSON.parse(`[${head}]`) as number[];
  const records: Said[] = [];
  for (let i = 0; i < numbers.length; ) {
    const kind = numbers[i]!;
    if (kind === 0) records.push({ numbers: [0, numbers[i + 1]], body: `"${tag}${numbers[i + 1]}"`, lie: undefined });
    i += [8, 5, 3, 2, 2, 2, 3, 3, 1, 2][kind]!;
  }
  return records.length === 0 ? undefined : encodeFromCell({ kind: 'out', isolate, ...batchOf(records) });
}

async function callsOf(replica: Replica, count: number, budgetMs: number): Promise<(string | Fault)[]> {
  const calls = Array.from({ length: count }, (_, i) =>
    replica
      .call({ callId: `c${i}`, capability: 'fuzzed.do', input: 'null', budgetMs, correlationId: 'k' })
      .then(String)
      .catch((error: unknown) => {
        if (error instanceof Fault) return error;
        throw error;
      }),
  );
  return Promise.all(calls);
}

/** Plays a script. @throws Error when a promise is broken */
async function play({ calls, says, mutations, pieces }: Script): Promise<void> {
  let turn = 0;
  let sent = Buffer.alloc(0);
  using tampered = pairOf(MAX_REPLY, (message, write) => {
    if (message.kind !== 'enter' || turn >= says.length) return;
    const { head, body } = batchOf(says[turn]!);
    turn += 1;
    const honest = honestly(message.isolate, message.head, 'A');
    const frames = [encodeFromCell({ kind: 'out', isolate: message.isolate, head, body }), ...(honest ? [honest] : [])].map(
      frameOf,
    );
    const bytes = mutated(frames, mutations);
    sent = Buffer.concat([sent, bytes]);
    let from = 0;
    for (const size of pieces) {
      write(bytes.subarray(from, from + size));
      from += size;
    }
    write(bytes.subarray(from));
  });
  using other = pairOf(MAX_REPLY, (message, write) => {
    if (message.kind !== 'enter') return;
    const answer = honestly(message.isolate, message.head, 'B');
    if (answer) write(answer);
  });
  const options = openingFor('fuzzed');
  const { signal } = new AbortController();
  const [a, b] = await Promise.all([tampered.cell.open(options, signal), other.cell.open(options, signal)]);
  const [ofA, ofB] = await Promise.all([callsOf(a, calls, BUDGET_MS), callsOf(b, calls, HONEST_MS)]);
  ofB.forEach((answer, i) => {
    if (answer !== `"B${i + 1}"`) throw new Error(`the other cell's call ${i} ended in ${answer}`);
  });
  for (const answer of ofA) {
    if (typeof answer !== 'string') continue;
    if (/"B\d/.test(answer)) throw new Error(`an answer of the other cell: ${answer}`);
    // Bytes that are no text arrive as U+FFFD.
    const pieces = answer.split('\ufffd');
    if (!pieces.every((piece) => sent.includes(Buffer.from(piece)))) throw new Error(`an answer nobody sent: ${answer}`);
  }
  // Requests to the host settle on their own time.
  await new Promise((done) => setTimeout(done, 5));
  if (a.usage().inFlight !== 0 || b.usage().inFlight !== 0) throw new Error('calls are left in flight');
  if (mutations.length === 0 && a.busy && !tampered.ended()) throw new Error('something is left under way');
  await Promise.all([a.close(0), b.close(0)]);
}

export interface Told {
  readonly line: string;
  readonly runs: number;
  readonly failures: number;
}

/** Fuzzes for that long. @param seed the one to repeat; any when it is not given */
export async function fuzzFor(
  ms: number,
  seed = Math.trunc(performance.timeOrigin + performance.now()) % 2 ** 31,
): Promise<Told> {
  const uncaught: unknown[] = [];
  const note = (error: unknown) => void uncaught.push(error);
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
  try {
    const scripts = fc.array(script, { minLength: TOGETHER, maxLength: TOGETHER });
    const property = fc.asyncProperty(scripts, async (all) => {
      await Promise.all(all.map(play));
      if (uncaught.length > 0) throw new Error(`nobody caught ${String((uncaught[0] as Error)?.stack ?? uncaught[0])}`);
    });
    const result = await fc.check(property, {
      seed,
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: ms,
      markInterruptAsFailure: false,
      endOnFailure: true,
    });
    const runs = result.numRuns * TOGETHER;
    const failed = result.failed && !result.interrupted;
    const why = failed ? `\nbroken: ${String(result.errorInstance)}\nrepeat with --seed ${seed}` : '';
    return { line: `fuzzer: ${runs} scripts, seed ${seed}${why}`, runs: failed ? 0 : runs, failures: failed ? 1 : 0 };
  } finally {
    process.off('uncaughtException', note);
    process.off('unhandledRejection', note);
  }
}
