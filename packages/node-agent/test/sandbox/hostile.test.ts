/**
 * What hostile bundles do, each in a cell of its own, while a neighbour of another publisher is called all the time. The sandbox must
 * answer every call with a fault, end what cannot be ended otherwise, and never stand still itself.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { systemClock } from '@cim/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scheduled } from '../../src/sandbox/priority.ts';
import type { Exit, Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { pageBytes, sample } from '../../src/sandbox/watchdog.ts';
import { alive, ask, doorOf, faultFrom, handling, openOf, PUBLISHER_B, sandboxOf, soon } from './fixture.ts';

let sandbox: Sandbox;
let neighbour: Isolate;
let calling = true;
let neighbourFaults = 0;
let slowest = 0;
let answered = 0;
let loop: Promise<void>;
const delay = monitorEventLoopDelay({ resolution: 5 });

beforeAll(async () => {
  sandbox = sandboxOf({ spareCells: 1, maxReply: '256Ki' });
  await sandbox.start();
  // Keeps the shared cell alive between the tests.
  await sandbox.open(openOf({ source: 'return 1' }, { isolation: 'shared' }));
  neighbour = await sandbox.open(openOf({ source: 'return input', publisher: PUBLISHER_B }));
  delay.enable();
  loop = (async () => {
    while (calling) {
      const from = performance.now();
      await ask(neighbour, 1).catch(() => {
        neighbourFaults += 1;
      });
      slowest = Math.max(slowest, performance.now() - from);
      answered += 1;
      await new Promise((done) => setTimeout(done, 5));
    }
  })();
});
afterAll(async () => {
  calling = false;
  await loop;
  await sandbox.stop(500);
});

const LIMITS = { turnMs: 200, timeoutMs: 3_000, memoryBytes: 32 * 2 ** 20 };
const opened = (source: string, options: Parameters<typeof openOf>[1] = {}): Promise<Isolate> =>
  sandbox.open(openOf({ source }, { ...options, limits: { ...LIMITS, ...options.limits } }));

describe('time', () => {
  test.each([
    ['a loop', 'for (;;);'],
    ['a loop in a promise', 'return (async () => { await null; for (;;); })()'],
    ['promises without end', 'return (async () => { for (;;) await null; })()'],
    ['a loop after a host call', 'return ctx.kv.get("k").then(() => { for (;;); })'],
    ['a loop in a timer', 'return new Promise(() => setTimeout(() => { for (;;); }, 1))'],
    ['a loop in finally', 'try { throw 1 } finally { for (;;); }'],
    ['a regular expression', 'return /^(a+)+$/.test("a".repeat(40) + "!")'],
    ['toJSON', 'return { toJSON() { for (;;); } }'],
    ['a getter of the answer', 'return { get a() { for (;;); } }'],
    ['a proxy as answer', 'return new Proxy({}, { ownKeys() { for (;;); } })'],
    ['a thenable', 'return { then(done) { for (;;); } }'],
    ['a getter then', 'return { get then() { for (;;); } }'],
    ['a getter of the error', 'throw { get message() { for (;;); } }'],
    ['a proxy as error', 'throw new Proxy({}, { get() { for (;;); } })'],
    ['toString of the error', 'throw { message: { toString() { for (;;); } } }'],
  ])('%s ends with the turn, and the isolate goes on', async (_, body) => {
    const host = doorOf({ 'kv.get': () => 1 });
    const isolate = await opened(`if (input === 'well') return 'well'; ${body}`, { host: host.door, isolation: 'shared' });
    const from = performance.now();
    const fault = await faultFrom(ask(isolate, 'bad', { budgetMs: 1_200 }));
    // A timer belongs to no call: there the deadline ends it.
    expect(['turn-exceeded', 'deadline-exceeded']).toContain(fault.code);
    expect(performance.now() - from).toBeLessThan(1_500);
    expect(await ask(isolate, 'well')).toBe('well');
    await isolate.close(50);
  });

  test('of a batch only the culprit fails, and no handler runs twice', async () => {
    const before = 'let ran = 0;';
    const isolate = await opened(
      handling('if (input === "count") return ran; ran++; if (input === "loop") for (;;); return input;', before),
      {
        limits: { maxConcurrent: 50 },
      },
    );
    const inputs = [...Array(10).keys(), 'loop', ...Array(10).keys()];
    const results = await Promise.allSettled(inputs.map((input) => ask(isolate, input)));
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code))).toEqual(
      inputs.map((input) => (input === 'loop' ? 'turn-exceeded' : input)),
    );
    expect(await ask(isolate, 'count')).toBe(21);
    await isolate.close(50);
  });

  test('of asynchronous handlers the culprit is found, and those that wait for the host are not it', async () => {
    let release = () => {};
    const host = doorOf({ 'kv.get': () => new Promise<number>((done) => (release = () => done(7))) });
    const isolate = await opened(
      `if (input === 'host') return ctx.kv.get('k'); return (async () => { await null; if (input === 'loop') for (;;) await null; return input; })()`,
      {
        host: host.door,
      },
    );
    const waiting = ask(isolate, 'host');
    expect(await soon(() => host.asked.length === 1)).toBe(true);
    expect((await faultFrom(ask(isolate, 'loop'))).code).toBe('turn-exceeded');
    // From now on records are entered one by one for a while.
    const results = await Promise.allSettled(['a', 'loop', 'b'].map((input) => ask(isolate, input)));
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason.code))).toEqual([
      'a',
      'turn-exceeded',
      'b',
    ]);
    release();
    expect(await waiting).toBe(7);
    await isolate.close(50);
  });

  test('three times in a row is the end of the isolate', async () => {
    const isolate = await opened('for (;;);');
    const faults = [];
    for (let i = 0; i < 3; i += 1) faults.push((await faultFrom(ask(isolate))).code);
    expect(faults).toEqual(['turn-exceeded', 'turn-exceeded', 'turn-exceeded']);
    expect((await isolate.exited).kind).toBe('out-of-time');
    expect((await faultFrom(ask(isolate))).code).toBe('workload-not-ready');
  });

  test('who was kept from a core for the length of its limit has not earned a strike', async () => {
    const limits = { turnMs: 1_500, timeoutMs: 20_000 };
    const isolate = await opened('if (input === "loop") for (;;); return input', { limits: { ...LIMITS, ...limits } });
    const { cellPid } = isolate;
    for (let i = 0; i < 3; i += 1) {
      const before = scheduled(cellPid)!.ranMs;
      const cut = faultFrom(ask(isolate, 'loop'));
      expect(await soon(() => scheduled(cellPid)!.ranMs > before + 3, 10_000)).toBe(true);
      process.kill(cellPid, 'SIGSTOP');
      await systemClock.sleep(limits.turnMs + 150);
      process.kill(cellPid, 'SIGCONT');
      expect((await cut).code).toBe('turn-exceeded');
    }
    // Three in a row of its own doing would have ended it.
    expect(await ask(isolate, 'still here')).toBe('still here');
    await isolate.close(0);
  });

  test.each([
    ['a built-in that cannot be interrupted', 'return Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)'],
    ['another', 'return Array.prototype.reverse.call({ length: 2 ** 53 - 1 })'],
    ['a getter of a lost rejection', 'Promise.reject({ get message() { for (;;); } }); return 1'],
  ])('%s is killed from outside and reported', async (_, body) => {
    const isolate = await opened(body);
    const { cellPid } = isolate;
    const from = performance.now();
    const call = ask(isolate).then(
      () => 'answered',
      (fault) => fault.code,
    );
    const exit = await isolate.exited;
    expect(exit.kind).toBe('out-of-time');
    // turn + grace, plus what a busy machine takes; the bar is limit + 1 s.
    expect(performance.now() - from).toBeLessThan(2_000);
    expect(['turn-exceeded', 'answered']).toContain(await call);
    expect(await soon(() => !alive(cellPid))).toBe(true);
  });

  test('who shares the cell with the culprit learns that it was not itself', async () => {
    const source = 'if (input === "stick") Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1); return input';
    const open = (name: string) =>
      sandbox.open(openOf({ source, manifest: { name } }, { isolation: 'shared', limits: LIMITS }));
    const [culprit, victim] = [await open('culprit'), await open('victim')];
    expect(victim.cellPid).toBe(culprit.cellPid);
    expect(await ask(victim, 1)).toBe(1);
    const stuck = faultFrom(ask(culprit, 'stick'));
    const [first, second] = await Promise.all([culprit.exited, victim.exited]);
    expect([first.kind, second.kind]).toEqual(['out-of-time', 'cell-died']);
    expect((second as Exit & { kind: 'cell-died' }).detail).toContain('culprit');
    expect((await stuck).code).toBe('turn-exceeded');
  });

  test.each([
    ['an error with a getter while loading', 'throw { get message() { for (;;); } }; export default 1'],
    ['a definition with a getter', 'export default { get kind() { for (;;); } }'],
  ])('%s does not get away', async (_, source) => {
    expect((await faultFrom(opened(source))).code).toBe('turn-exceeded');
  });
});

describe('results and errors', () => {
  test.each([
    ['an error that throws when read', 'throw { get message() { throw 1 }, get stack() { throw 2 } }', 'handler-failed'],
    ['null', 'throw null', 'handler-failed'],
    ['a symbol', 'throw Symbol("s")', 'handler-failed'],
    ['a message of 5 MB', 'throw new Error("x".repeat(5e6))', 'handler-failed'],
    ['an answer of 5 MB', 'return "x".repeat(5e6)', 'reply-too-large'],
    ['an answer of 500 MB', 'return "x".repeat(5e8)', undefined],
    ['a thousand times the same megabyte', 'const s = "x".repeat(1e6); return Array(1000).fill(s)', undefined],
    ['an answer 100,000 deep', 'let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o', undefined],
    ['a thenable that fails', 'return { then(_, failed) { failed(new Error("no")) } }', 'handler-failed'],
    ['a stack that is no text', 'const e = new Error("x"); e.stack = {}; throw e', 'handler-failed'],
  ])('%s', async (_, body, code) => {
    const isolate = await opened(body, code === undefined ? {} : { isolation: 'shared' });
    const fault = await faultFrom(ask(isolate, null, { budgetMs: 2_500 }));
    if (code === undefined)
      expect(['output-invalid', 'reply-too-large', 'turn-exceeded', 'out-of-memory']).toContain(fault.code);
    else expect(fault.code).toBe(code);
    expect(fault.detail.length).toBeLessThan(20_000);
    await isolate.close(50);
  });
});

describe('memory', () => {
  test.each([
    ['objects', 'const all = []; for (;;) all.push({ a: [1, 2, 3] })'],
    ['strings', 'let s = "x"; const all = []; for (let i = 0; ; i++) all.push(s.repeat(1e5) + i)'],
    ['ArrayBuffers', 'const all = []; for (;;) all.push(new Uint8Array(1e6).fill(1))'],
    ['a Map', 'const m = new Map(); for (let i = 0; ; i++) m.set(i, {})'],
    [
      'resizable buffers',
      'const all = []; for (;;) { const b = new ArrayBuffer(0, { maxByteLength: 1e8 }); b.resize(5e7); new Uint8Array(b).fill(1); all.push(b) }',
    ],
    ['one large array', 'return Array(6e7).fill(1.5).length'],
    ['promises', 'return (async () => { const all = []; for (;;) all.push(Promise.resolve({}).then(() => {})) })()'],
    ['symbols', 'for (let i = 0; ; i++) Symbol.for("s" + i)'],
  ])('%s end in a fault and a reason, in time', async (_, body) => {
    const isolate = await opened(body, { limits: { turnMs: 1_500, timeoutMs: 9_000 } });
    const fault = await faultFrom(ask(isolate));
    expect(['out-of-memory', 'turn-exceeded', 'handler-failed', 'cell-died']).toContain(fault.code);
    if (fault.code === 'out-of-memory') expect((await isolate.exited).kind).toBe('out-of-memory');
    await isolate.close(50);
  });

  test('what the heap limit does not see, the limit of the cell does', async () => {
    const isolate = await opened(
      'const all = []; for (;;) { const b = new ArrayBuffer(0, { maxByteLength: 1e8 }); b.resize(1e8); new Uint8Array(b).fill(1); all.push(b) }',
      {
        limits: { turnMs: 5_000, timeoutMs: 8_000 },
      },
    );
    expect((await faultFrom(ask(isolate))).code).toBe('out-of-memory');
    const exit = await isolate.exited;
    expect(exit.kind).toBe('out-of-memory');
  });
});

describe('cpu', () => {
  test('a cell that uses more than its share is stopped for a while, and its neighbour is not', async () => {
    const isolate = await opened('const end = Date.now() + 50; while (Date.now() < end); return 1', {
      limits: { milliCpu: 100 },
    });
    const page = pageBytes(process.memoryUsage.rss());
    const before = sample(isolate.cellPid, page)!.cpuMs;
    const from = performance.now();
    let calls = 0;
    while (performance.now() - from < 3_000) {
      await ask(isolate).catch(() => {});
      calls += 1;
    }
    // It may have saved up a quarter of a second and earns an eighth of every second, where it would take all three.
    expect(sample(isolate.cellPid, page)!.cpuMs - before).toBeLessThan(1_300);
    expect(calls).toBeGreaterThan(0);
    expect(isolate.usage().inFlight).toBe(0);
    await isolate.close(50);
  });
});

describe('floods', () => {
  test('timers, log lines, requests to the host', async () => {
    const host = doorOf({ 'kv.get': () => new Promise(() => {}) });
    const isolate = await opened(
      `if (input === 'timers') { try { for (;;) setInterval(() => {}, 1) } catch (e) { return e.name } }
       if (input === 'logs') { for (let i = 0; i < 1e5; i++) ctx.log.info('x'.repeat(3000), { f: 'y'.repeat(30000) }); return 'logged' }
       if (input === 'asks') return (async () => { let refused = 0; const all = []; for (let i = 0; i < 1000; i++) all.push(ctx.kv.get('k').catch((e) => { refused++ })); await null; await null; await null; return refused })()
       if (input === 'large') return ctx.kv.put('k', 'x'.repeat(2e6)).catch((e) => e.code)`,
      { host: host.door, limits: { turnMs: 9_000, memoryBytes: 64 * 2 ** 20 } },
    );
    expect(await ask(isolate, 'timers')).toBe('RangeError');
    expect(await ask(isolate, 'logs')).toBe('logged');
    expect(host.logs.length).toBeLessThan(600);
    expect(host.logs.every(({ message, fields }) => message.length <= 2048 && JSON.stringify(fields).length < 20_000)).toBe(
      true,
    );
    expect(await ask(isolate, 'asks')).toBe(1000 - 256);
    expect(host.asked.length).toBe(256);
    expect(await ask(isolate, 'large')).toBe('overloaded');
    await isolate.close(50);
  });
});

describe('the end of a cell', () => {
  test('SIGKILL with calls in flight: every call has a fault, and so has the isolate', async () => {
    const isolate = await opened('return new Promise(() => {})', { limits: { maxConcurrent: 64 } });
    const faults = Array.from({ length: 40 }, () => faultFrom(ask(isolate)));
    expect(await soon(() => isolate.usage().inFlight === 40)).toBe(true);
    process.kill(isolate.cellPid, 'SIGKILL');
    expect(new Set((await Promise.all(faults)).map(({ code }) => code))).toEqual(new Set(['cell-died']));
    expect((await isolate.exited).kind).toBe('cell-died');
    expect((await faultFrom(ask(isolate))).code).toBe('workload-not-ready');
    expect(sandbox.cells().some(({ pid }) => pid === isolate.cellPid)).toBe(false);
  });
});

test('meanwhile the neighbour was served and the daemon was not held up', () => {
  delay.disable();
  console.log(
    JSON.stringify({
      answered,
      neighbourFaults,
      slowestMs: Math.round(slowest),
      delayP99Ms: delay.percentile(99) / 1e6,
      delayMaxMs: delay.max / 1e6,
    }),
  );
  expect(answered).toBeGreaterThan(100);
  expect(neighbourFaults).toBe(0);
  // The goal is 20 ms at p99 on a quiet machine; the test machine is shared, and the test runner works in this same process.
  expect(delay.percentile(99) / 1e6).toBeLessThan(80);
});
