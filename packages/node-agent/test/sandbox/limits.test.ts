/** Limits, from outside: what is allowed, what ends, what the caller is told, and that every hit is told of. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Isolate, OpenOptions, Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, doorOf, faultFrom, handling, openOf, sandboxOf, soon } from './fixture.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = sandboxOf({ spareCells: 2, allow: ['wasm', 'sharedMemory', 'codegen'], startTimeout: '10s' });
  await sandbox.start();
});
afterAll(() => sandbox.stop(500));

interface Opened {
  readonly isolate: Isolate;
  readonly hits: () => string[];
  readonly door: ReturnType<typeof doorOf>;
}

async function open(source: string, options: Partial<Parameters<typeof openOf>[1]> = {}, manifest = {}): Promise<Opened> {
  const door = doorOf({ 'kv.get': () => new Promise(() => {}), publish: () => null });
  const isolate = await sandbox.open(openOf({ source, manifest }, { host: door.door, ...options } as Partial<OpenOptions>));
  return { isolate, door, hits: () => [...new Set(door.limits.map(({ limit }) => limit))] };
}
const ends = async ({ isolate }: Opened) => (await isolate.exited).kind;

describe('memory', () => {
  test('heap: the isolate ends, the call is told of it', async () => {
    const opened = await open('const all = []; for (;;) all.push({ a: [1, 2, 3] })', {
      limits: { memoryBytes: 32 * 2 ** 20, turnMs: 8_000 },
    });
    const fault = await faultFrom(ask(opened.isolate));
    expect(fault.code).toBe('out-of-memory');
    expect(await ends(opened)).toBe('out-of-memory');
    expect(['heap', 'memory']).toContain(opened.hits()[0]);
  });

  test.each([
    [
      'resizable buffers',
      'const b = new ArrayBuffer(0, { maxByteLength: 2 ** 31 }); for (let n = 2 ** 23; ; n += 2 ** 23) { b.resize(n); new Uint8Array(b, n - 2 ** 23).fill(1); }',
    ],
    [
      'wasm memory',
      'const m = new WebAssembly.Memory({ initial: 1 }); for (;;) { const from = m.grow(64) * 65536; new Uint8Array(m.buffer, from).fill(1); }',
    ],
  ])('%s that the engine does not count end the cell from outside', async (_, source) => {
    const limits = { memoryBytes: 32 * 2 ** 20, turnMs: 8_000 };
    const opened = await open(source, { limits }, { grants: { wasm: true } });
    const fault = await faultFrom(ask(opened.isolate));
    expect(['out-of-memory', 'handler-failed']).toContain(fault.code);
    if (fault.code === 'out-of-memory') expect(['heap', 'memory']).toContain(opened.hits()[0]);
  });

  test('one of many in a cell cannot take the shares of those that rest: it alone is to blame', async () => {
    const limits = { memoryBytes: 128 * 2 ** 20, turnMs: 8_000 };
    const bomb = await open(
      'if (input !== "go") return 1; const b = new ArrayBuffer(0, { maxByteLength: 2 ** 31 }); for (let n = 2 ** 23; ; n += 2 ** 23) { b.resize(n); new Uint8Array(b, n - 2 ** 23).fill(1); }',
      { isolation: 'shared', limits },
    );
    const others: Opened[] = [];
    const keeps = 'globalThis.kept ??= Array.from({ length: 500_000 }, (_, i) => i + 0.5); return 1';
    for (let i = 0; i < 6; i += 1) others.push(await open(keeps, { isolation: 'shared', limits }));
    expect(new Set([bomb, ...others].map(({ isolate }) => isolate.cellPid)).size).toBe(1);
    await Promise.all([bomb, ...others].map(({ isolate }) => ask(isolate)));
    // Measured once they rest: what the call left behind is seen.
    expect(await soon(() => others.every(({ isolate }) => isolate.usage().heapBytes > 4e6), 10_000)).toBe(true);
    const fault = await faultFrom(ask(bomb.isolate, 'go'));
    expect(fault.code).toBe('out-of-memory');
    // All limits together are 992 MiB; what was allowed is what rests, one limit and the allowance.
    const allowed = Number(/(\d+) allowed/.exec(fault.detail)?.[1]);
    expect(allowed).toBeGreaterThan(96);
    expect(allowed).toBeLessThan(400);
    expect(await ends(bomb)).toBe('out-of-memory');
    for (const other of others) expect(await ends(other)).toBe('cell-died');
    expect(bomb.hits()).toEqual(['memory']);
    expect(others.flatMap(({ hits }) => hits())).toEqual([]);
  });
});

describe('time', () => {
  test('a turn', async () => {
    const opened = await open('for (;;);', { limits: { turnMs: 100 } });
    expect((await faultFrom(ask(opened.isolate))).code).toBe('turn-exceeded');
    expect(opened.hits()).toEqual(['turn']);
  });
  test.each([
    ['at once', ''],
    ['after they have waited', 'await null;'],
  ])("a turn is one call's: many that come together and compute %s do not use up each other's", async (_, first) => {
    const source = `return (async () => { ${first} const end = Date.now() + 40; while (Date.now() < end); return input })()`;
    const opened = await open(source, { limits: { turnMs: 400, timeoutMs: 30_000, maxConcurrent: 64 } });
    const calls = Array.from({ length: 30 }, (_, i) => ask(opened.isolate, i, { budgetMs: 30_000 }));
    expect(await Promise.all(calls)).toEqual(calls.map((_, i) => i));
    expect(opened.hits()).toEqual([]);
    await opened.isolate.close(0);
  });
  test("a call: the workload's own limit is told of, a caller's impatience is not", async () => {
    const opened = await open('return new Promise(() => {})', { limits: { timeoutMs: 150 } });
    expect((await faultFrom(ask(opened.isolate, 1, { budgetMs: 60 }))).code).toBe('deadline-exceeded');
    expect(opened.hits()).toEqual([]);
    expect((await faultFrom(ask(opened.isolate))).detail).toContain('150 ms');
    expect(opened.hits()).toEqual(['timeout']);
  });
  test('a start', async () => {
    const short = sandboxOf({ startTimeout: '3s' });
    await short.start();
    const door = doorOf();
    const source = `${handling('return 1').replace("kind: 'agent',", "kind: 'agent', start() { return new Promise(() => {}) },")}`;
    const manifest = { hooks: { start: true, stop: false, health: false } };
    const fault = await faultFrom(short.open(openOf({ source, manifest }, { host: door.door })));
    expect(fault.code).toBe('deadline-exceeded');
    expect(door.limits.map(({ limit }) => limit)).toEqual(['start']);
    await short.stop(500);
  });
  test('cpu: who uses more than its share is held back, and told of', async () => {
    const opened = await open('const end = Date.now() + 300; while (Date.now() < end); return 1', {
      limits: { milliCpu: 50, turnMs: 5_000 },
    });
    for (let i = 0; i < 60 && !opened.hits().includes('cpu'); i += 1) await ask(opened.isolate);
    expect(opened.hits()).toContain('cpu');
    expect(opened.door.limits[0]!.detail).toContain('0.05 cores');
    await opened.isolate.close(0);
  });
});

describe('numbers and sizes', () => {
  test('calls in flight', async () => {
    const opened = await open('return new Promise(() => {})', { limits: { maxConcurrent: 2 } });
    void ask(opened.isolate).catch(() => {});
    void ask(opened.isolate).catch(() => {});
    const fault = await faultFrom(ask(opened.isolate));
    expect([fault.code, fault.detail]).toEqual(['overloaded', 'probe: 2 calls in flight already']);
    expect(opened.hits()).toEqual(['in-flight']);
    await opened.isolate.close(0);
  });
  test('answers', async () => {
    const opened = await open('return "x".repeat(2 ** 21)');
    const fault = await faultFrom(ask(opened.isolate));
    expect(fault.code).toBe('reply-too-large');
    expect(fault.detail).toContain('1048576 allowed');
    // Characters within, bytes beyond: counted by the daemon.
    const wide = await open('return "\u20ac".repeat(2 ** 19)');
    expect((await faultFrom(ask(wide.isolate))).code).toBe('reply-too-large');
    expect([...opened.hits(), ...wide.hits()]).toEqual(['reply-size', 'reply-size']);
  });
  test('timers', async () => {
    const opened = await open(
      'for (let i = 0; i < 1024; i += 1) setTimeout(() => {}, 60_000); try { setTimeout(() => {}, 1); } catch (e) { return e.message; }',
    );
    expect(await ask(opened.isolate)).toBe('at most 1024 timers at a time');
    expect(opened.door.limits).toEqual([{ limit: 'timers', detail: 'inside the isolate', hits: 1 }]);
    await opened.isolate.close(0);
  });
  test('requests to the host under way, and their size', async () => {
    const opened = await open(
      `
      for (let i = 0; i < 256; i += 1) ctx.kv.get('a');
      const more = await ctx.kv.get('b').catch((e) => e.code);
      return more;
    `
        .replace(/^/, 'return (async () => {')
        .concat('})()'),
      { limits: { maxConcurrent: 4 } },
    );
    expect(await ask(opened.isolate)).toBe('overloaded');
    expect(opened.hits()).toEqual(['requests']);
    const large = await open('return ctx.publish("a", "x".repeat(2 ** 20)).catch((e) => e.code)');
    expect(await ask(large.isolate)).toBe('too-large');
    expect(large.hits()).toEqual(['value-size']);
    await Promise.all([opened.isolate.close(0), large.isolate.close(0)]);
  });
  test('lines of log and metrics: what is too much is dropped, counted and told of once a second', async () => {
    const opened = await open(
      'ctx.log.info("x".repeat(10_000)); for (let i = 0; i < 5_000; i += 1) { ctx.log.info("line"); ctx.metrics.increment("count"); } return 1',
    );
    await ask(opened.isolate);
    expect(opened.door.logs.length).toBeLessThanOrEqual(256);
    expect(Math.max(...opened.door.logs.map(({ message }) => message.length))).toBe(2048);
    expect(opened.door.metrics.length).toBeLessThanOrEqual(2048);
    expect(new Set(opened.hits())).toEqual(new Set(['log-size', 'log-rate', 'metric-rate']));
    expect(opened.door.limits.length).toBeLessThan(12);
    await opened.isolate.close(0);
  });
});

describe('the language', () => {
  const names =
    'return [typeof WebAssembly, typeof SharedArrayBuffer, typeof Atomics, (() => { try { return new Function("return 7")(); } catch (e) { return e.name; } })()]';
  test.each([
    [{}, ['undefined', 'undefined', 'undefined', 'EvalError']],
    [{ wasm: true }, ['object', 'undefined', 'undefined', 'EvalError']],
    [{ sharedMemory: true }, ['undefined', 'function', 'object', 'EvalError']],
    [{ codegen: true }, ['undefined', 'undefined', 'undefined', 7]],
  ])('%j opens that and no more', async (grants, expected) => {
    const opened = await open(names, {}, { grants });
    expect(await ask(opened.isolate)).toEqual(expected);
    await opened.isolate.close(0);
  });
  test('Atomics.wait where it is granted ends with the turn', async () => {
    const opened = await open(
      'Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)',
      { limits: { turnMs: 200 } },
      { grants: { sharedMemory: true } },
    );
    expect(['turn-exceeded', 'handler-failed']).toContain((await faultFrom(ask(opened.isolate))).code);
  });
  test('what the configuration does not allow does not start', async () => {
    const strict = sandboxOf();
    await strict.start();
    const fault = await faultFrom(
      strict.open(openOf({ source: 'return 1', manifest: { grants: { wasm: true, codegen: true } } })),
    );
    expect(fault.code).toBe('policy-refused');
    expect(fault.detail).toContain('grants.wasm, grants.codegen');
    await strict.stop(500);
  });
  test('clocks are coarse', async () => {
    const opened = await open(
      'const seen = new Set(); for (let i = 0; i < 2e5; i += 1) { seen.add(performance.now() % 1); seen.add(Date.now() % 1); } return [...seen]',
    );
    expect(await ask(opened.isolate)).toEqual([0]);
    await opened.isolate.close(0);
  });
});

test('without the just-in-time compiler guests run in cells of their own, and have no WebAssembly', async () => {
  const some = sandboxOf({ jitlessPublishers: ['test'], allow: ['wasm'] });
  await some.start();
  try {
    const source = 'return [typeof WebAssembly, Array.from({ length: 1000 }, (_, i) => i).reduce((a, b) => a + b)]';
    const isolate = await some.open(openOf({ source, manifest: { grants: { wasm: true } } }));
    expect(await ask(isolate)).toEqual(['undefined', 499_500]);
    expect(some.layers.find(({ layer }) => layer === 'jitless')).toMatchObject({
      active: false,
      detail: expect.stringContaining('test'),
    });
  } finally {
    await some.stop(500);
  }
});
