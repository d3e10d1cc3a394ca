/**
 * A cell that was broken out of, on its wire: forged, broken and endless frames, lies about its end. Whatever it sends, the daemon goes on, the
 * neighbour in another cell is answered, every call of the liar ends, and what no honest cell does ends the cell.
 */
import { Fault } from '@cim/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Exit } from '../../packages/node-agent/src/sandbox/sandbox.ts';
import { type Program, programOf } from './broken/launch.ts';
import { askHonest, type CellWall, cellWall, openHonest } from './cells.ts';
import { LoopWatch, Neighbour, percentile } from './watch.ts';

type Kind = Exit['kind'] | 'lives';

/** How each deed must end: the call, and the isolate. */
const deeds: readonly (readonly [deed: string, call: readonly string[], exit: readonly Kind[]])[] = [
  ['flood of pongs', ['cell-died'], ['cell-died']],
  ['flood of greetings', ['cell-died'], ['cell-died']],
  ['flood of measures', ['cell-died'], ['cell-died']],
  ['flood of large measures', ['cell-died'], ['cell-died']],
  ['flood of log lines', ['cell-died'], ['cell-died']],
  ['flood of metrics', ['cell-died'], ['cell-died']],
  ['flood of single log lines', ['cell-died'], ['cell-died']],
  ['flood of wakes', ['cell-died'], ['cell-died']],
  ['flood of empty batches', ['cell-died'], ['cell-died']],
  ['flood of late answers', ['answered'], ['cell-died']],
  ['flood of endings of an isolate that is gone', ['out-of-memory'], ['out-of-memory']],
  ['flood of batches of an isolate that is gone', ['out-of-memory'], ['out-of-memory']],
  ['flood of small requests', ['cell-died', 'deadline-exceeded'], ['cell-died', 'lives']],
  ['flood of heavy requests', ['cell-died'], ['cell-died']],
  ['a fault as large as may be', ['handler-failed'], ['lives']],
  ['a payload as large as may be', ['cell-died'], ['cell-died']],
  ['nested brackets', ['cell-died'], ['cell-died']],
  ['answers twice', ['answered'], ['lives']],
  ['answers what is no JSON', ['answered', 'output-invalid', 'cell-died'], ['lives', 'cell-died']],
  ['answers too much', ['reply-too-large'], ['lives']],
  ['answers for another isolate', ['cell-died'], ['cell-died']],
  ['answers before it was asked', ['cell-died'], ['cell-died']],
  ['speaks for an isolate of another cell', ['cell-died'], ['cell-died']],
  ['opens again', ['cell-died'], ['cell-died']],
  ['says it ran out of memory', ['out-of-memory'], ['out-of-memory']],
  ['claims a reason that is none', ['cell-died'], ['cell-died']],
  ['half a frame', ['turn-exceeded', 'deadline-exceeded'], ['out-of-time']],
  ['one byte at a time', ['answered'], ['lives']],
  ['text that is no text', ['answered', 'cell-died'], ['lives', 'cell-died']],
  ['prototype in a fault', ['handler-failed'], ['lives']],
  ['a fault only the host may give', ['cell-died'], ['cell-died']],
  ['stops reading', ['turn-exceeded', 'deadline-exceeded'], ['out-of-time']],
  ['reads and never answers', ['deadline-exceeded'], ['lives']],
  ['answers no ping', ['turn-exceeded', 'deadline-exceeded'], ['out-of-time']],
  ['holds the thread', ['turn-exceeded', 'deadline-exceeded'], ['out-of-time']],
  ['lies about its end', ['out-of-memory'], ['out-of-memory']],
  ['exits with success', ['cell-died'], ['cell-died']],
  ['dies of a signal', ['cell-died'], ['cell-died']],
  ['aborts', ['cell-died'], ['cell-died']],
  ['closes its socket and lives on', ['cell-died'], ['cell-died']],
  ['a flood on standard error', ['cell-died'], ['cell-died']],
  ['takes memory', ['out-of-memory', 'deadline-exceeded'], ['out-of-memory']],
  ['names another isolate as the one it is in', ['turn-exceeded', 'deadline-exceeded'], ['out-of-time']],
];

let program: Program;
let wall: CellWall;
let honest: CellWall;
let neighbour: Neighbour;
let loop: LoopWatch;
const slow: string[] = [];

beforeAll(async () => {
  program = await programOf('wire-cell');
  // The neighbour's cell is an honest one: the two are of different sandboxes in one process, as they share nothing but the event loop.
  honest = await cellWall({ spareCells: 1 });
  wall = await cellWall({ spareCells: 3 }, { cellEntry: program.entry });
  const isolate = await honest.neighbour();
  neighbour = new Neighbour(() => askHonest(isolate));
  loop = new LoopWatch();
});
afterAll(async () => {
  loop?.stop();
  await neighbour?.stop();
  await wall?.[Symbol.asyncDispose]();
  await honest?.[Symbol.asyncDispose]();
  program?.[Symbol.dispose]();
});

const CALL_MS = 1_500;
const EXIT_MS = 5_000;

test.each(deeds)('%s', async (deed, ends, exits) => {
  const isolate = await openHonest(wall.sandbox);
  neighbour.take();
  loop.reset();
  const call = isolate
    .call({ callId: 'c', capability: 'neighbour.do', input: JSON.stringify(deed), budgetMs: CALL_MS, correlationId: 'k' })
    .then(
      () => 'answered',
      (error) => (error instanceof Fault ? error.code : String(error)),
    );
  const end = await call;
  const exit = exits.includes('lives')
    ? await Promise.race([isolate.exited, new Promise<undefined>((done) => setTimeout(() => done(undefined), 300))])
    : await Promise.race([isolate.exited, new Promise<undefined>((done) => setTimeout(() => done(undefined), EXIT_MS))]);
  const worst = percentile(neighbour.take(), 0.99);
  slow.push(`${deed}: neighbour p99 ${Math.round(worst)} ms, event loop at most ${Math.round(loop.read().maxMs)} ms`);
  expect({ end, exit: exit?.kind ?? 'lives', said: exit }).toEqual({
    end: expect.toBeOneOf([...ends]),
    exit: expect.toBeOneOf([...exits]),
    said: exit,
  });
  await isolate.close(0);
  expect(neighbour.faults).toEqual([]);
  expect(worst).toBeLessThan(1_000);
});

test('what the neighbour felt', () => {
  process.stdout.write(`${slow.join('\n')}\n`);
});
