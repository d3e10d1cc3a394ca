/** What honest bundles do: answer, wait, ask the host, read the clock, fail. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, doorOf, faultFrom, handling, openOf, PUBLISHER_A, PUBLISHER_B, sandboxOf, soon } from './fixture.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = sandboxOf({ maxReply: '64Ki' });
  await sandbox.start();
});
afterAll(() => sandbox.stop(1_000));

const shared = { isolation: 'shared' } as const;
const opened = (source: string, options: Parameters<typeof openOf>[1] = {}, manifest = {}): Promise<Isolate> =>
  sandbox.open(openOf({ source, manifest }, { ...shared, ...options }));

describe('calls', () => {
  test('a handler answers what it was given, with the facts of the call', async () => {
    const isolate = await opened('return { input, call, who: ctx.workload, config: ctx.config }', {}, { config: { a: 1 } });
    const answer = await ask(isolate, { n: 'ü€😀' }, { callId: 'c1', correlationId: 'k1', traceparent: 't1' });
    expect(answer).toEqual({
      input: { n: 'ü€😀' },
      call: { id: 'c1', capability: 't.do', budget: 10_000, correlationId: 'k1', traceparent: 't1' },
      who: { kind: 'agent', name: 'probe', version: '1.0.0', instance: 'cim-test-001', replica: 0 },
      config: { a: 1 },
    });
  });

  test('thousands of calls, sync and async, each its own answer, text of any width among them', async () => {
    const isolate = await opened('return input.n % 2 ? input : (async () => { await null; return input; })()', {
      limits: { maxConcurrent: 5_000, turnMs: 5_000 },
    });
    const inputs = Array.from({ length: 4_000 }, (_, n) => ({
      n,
      text: ['plain', 'ü', '漢字', '😀'][n % 4]!.repeat((n % 7) * 40),
    }));
    const answers = await Promise.all(inputs.map((input) => ask(isolate, input)));
    expect(answers).toEqual(inputs);
    expect(isolate.usage().inFlight).toBe(0);
  });

  test('no more calls at a time than the limit; the rest is refused, not queued', async () => {
    const host = doorOf({ 'kv.get': () => new Promise(() => {}) });
    const isolate = await opened('return ctx.kv.get("k")', { limits: { maxConcurrent: 3, timeoutMs: 200 }, host: host.door });
    const three = [ask(isolate), ask(isolate), ask(isolate)].map((call) => faultFrom(call));
    expect((await faultFrom(ask(isolate))).code).toBe('overloaded');
    expect((await Promise.all(three)).map(({ code }) => code)).toEqual(Array(3).fill('deadline-exceeded'));
    expect(isolate.usage().inFlight).toBe(0);
  });

  test('an error that names a field of the input is the input, not the handler', async () => {
    const isolate = await opened(
      `throw Object.assign(new Error(input.path + ': no such thing'), { code: 'invalid-input', path: input.path })`,
    );
    const fault = await faultFrom(ask(isolate, { path: 'steps[2].use' }));
    expect([fault.code, fault.issues]).toEqual([
      'invalid-input',
      [{ path: 'steps[2].use', message: 'steps[2].use: no such thing' }],
    ]);
    // A path that is no text does not count, and one that is a trap takes nobody down.
    expect((await faultFrom(ask(isolate, { path: 7 }))).code).toBe('handler-failed');
    const trap = await opened(`throw { get code() { for (;;); }, path: 'x' }`, { limits: { turnMs: 200 } });
    expect((await faultFrom(ask(trap))).code).toBe('turn-exceeded');
  });

  test("the deadline is the nearer of the caller's and the workload's, and a late answer is dropped", async () => {
    const isolate = await opened('return new Promise((done) => setTimeout(done, input, "late"))', {
      limits: { timeoutMs: 5_000 },
    });
    const from = performance.now();
    expect((await faultFrom(ask(isolate, 300, { budgetMs: 60 }))).code).toBe('deadline-exceeded');
    expect(performance.now() - from).toBeLessThan(250);
    expect(await ask(isolate, 10)).toBe('late');
  });

  test('a capability it does not have, and a caller without time', async () => {
    const isolate = await opened('return 1');
    expect((await faultFrom(ask(isolate, 1, { capability: 'no.such' }))).code).toBe('capability-unknown');
    expect((await faultFrom(ask(isolate, 1, { budgetMs: 0 }))).code).toBe('deadline-exceeded');
  });

  test('undefined answers null; values that are no JSON and answers too large are faults', async () => {
    const isolate = await opened(`
      if (input === 'none') return undefined;
      if (input === 'big') return 'x'.repeat(70_000);
      if (input === 'wide') return '漢'.repeat(30_000);
      if (input === 'bigint') return 1n;
      const round = {}; round.round = round; return round;`);
    expect(await ask(isolate, 'none')).toBe(null);
    expect((await faultFrom(ask(isolate, 'big'))).code).toBe('reply-too-large');
    // 30,000 characters, 90,000 bytes.
    expect((await faultFrom(ask(isolate, 'wide'))).code).toBe('reply-too-large');
    expect((await faultFrom(ask(isolate, 'bigint'))).code).toBe('output-invalid');
    expect((await faultFrom(ask(isolate, 'round'))).code).toBe('output-invalid');
  });
});

describe('schemas', () => {
  const schema = {
    type: 'object',
    required: ['lines'],
    additionalProperties: false,
    properties: { lines: { type: 'array', items: { $ref: '#/$defs/line' } }, 'a/b': { type: 'string' } },
    $defs: { line: { type: 'object', properties: { net: { type: 'number' } } } },
  };

  test('input that does not fit is refused with the paths, and the handler is not run', async () => {
    const host = doorOf();
    const manifest = { capabilities: { 't.do': { input: schema } } };
    const isolate = await opened('ctx.log.info("ran"); return input', { host: host.door }, manifest);
    expect(await ask(isolate, { lines: [{ net: 1 }] })).toEqual({ lines: [{ net: 1 }] });
    const fault = await faultFrom(ask(isolate, { lines: [{ net: 1 }, { net: 'two' }], 'a/b': 3, more: 1 }));
    expect(fault.code).toBe('invalid-input');
    expect(fault.issues.map(({ path }) => path)).toEqual(expect.arrayContaining(['lines[1].net', '["a/b"]', 'more']));
    expect(
      (await faultFrom(isolate.call({ callId: 'x', capability: 't.do', input: '{', budgetMs: 999, correlationId: 'k' }))).code,
    ).toBe('invalid-input');
    expect(host.logs.filter(({ message }) => message === 'ran')).toHaveLength(1);
  });

  test('output is checked as it will be sent', async () => {
    const manifest = { capabilities: { 't.do': { output: { type: 'object', properties: { at: { type: 'string' } } } } } };
    const isolate = await opened('return input === "date" ? { at: new Date(0) } : { at: 1 }', {}, manifest);
    expect(await ask(isolate, 'date')).toEqual({ at: '1970-01-01T00:00:00.000Z' });
    const fault = await faultFrom(ask(isolate, 'number'));
    expect(fault.code).toBe('output-invalid');
    expect(fault.issues[0]!.path).toBe('at');
  });

  test('configuration that does not fit keeps it from starting', async () => {
    const manifest = { config: { n: 'x' }, configSchema: { type: 'object', properties: { n: { type: 'number' } } } };
    const fault = await faultFrom(opened('return 1', {}, manifest));
    expect(fault.code).toBe('start-failed');
    expect(fault.detail).toContain('n:');
  });
});

describe('the host', () => {
  test('every request carries the call it is for and comes back as value, undefined or CallError', async () => {
    const host = doorOf({
      'kv.get': ([key]) => (key === 'there' ? { v: 1 } : undefined),
      'kv.put': () => 7,
      secret: ([name]) => `s-${name}`,
      asset: () => Buffer.from('größe').toString('base64'),
      publish: () => null,
      call: (args) => args,
    });
    const source = `
      const { kv, call: ring, publish } = ctx;
      return (async () => ({
        there: await kv.get('there'), gone: (await kv.get('x')) === undefined, put: await kv.put('k', [1]),
        secret: await ctx.secrets.get('a'), text: await ctx.assets.text('f'), bytes: (await ctx.assets.bytes('f')).length,
        published: (await publish('a.b', 1)) === undefined, rung: await ring('o.ther', { q: 1 }, { timeout: '1s' }),
        refused: await ctx.emit('a.b', 1).catch((e) => [e instanceof Error, e.name, e.code, e.retry, e.message]),
      }))();`;
    const isolate = await opened(source, { host: host.door });
    const answer = await ask(isolate, null, { callId: 'me' });
    expect(answer).toMatchObject({
      there: { v: 1 },
      gone: true,
      put: 7,
      secret: 's-a',
      text: 'größe',
      bytes: 7,
      published: true,
      refused: [true, 'CallError', 'grant-refused', false, 'emit is not granted'],
    });
    expect(answer.rung.slice(0, 3)).toEqual(['o.ther', { q: 1 }, { timeout: '1s' }]);
    // What the callee may take at most is the daemon's to say.
    expect(answer.rung[3]).toMatchObject({ correlationId: 'cor' });
    expect(answer.rung[3].budgetMs).toBeLessThanOrEqual(10_000);
    expect(new Set(host.asked.map(({ callId }) => callId))).toEqual(new Set(['me']));
  });

  test('logs and metrics arrive, cut to size; a flood is dropped and said so', async () => {
    const host = doorOf();
    const isolate = await opened(
      `if (input) { for (let i = 0; i < 5000; i++) ctx.log.info('flood'); return; }
       ctx.log.warn('x'.repeat(5000), { error: new TypeError('bad'), n: 1 }); console.log('said', { a: 1 }, 2);
       ctx.metrics.increment('seen'); ctx.metrics.observe('took_ms', 1.5);
       try { ctx.metrics.gauge('Bad Name', 1); } catch (e) { return e.message }`,
      { host: host.door },
    );
    expect(await ask(isolate)).toContain('metric name');
    expect(host.logs[0]).toMatchObject({ level: 'warn', fields: { n: 1, error: { detail: 'TypeError: bad' } } });
    expect(host.logs[0]!.message).toHaveLength(2048);
    expect(host.logs[1]).toMatchObject({ level: 'info', message: 'said {"a":1} 2' });
    expect(host.metrics).toEqual([
      ['counter', 'seen', 1],
      ['histogram', 'took_ms', 1.5],
    ]);
    await ask(isolate, true);
    expect(host.logs.length).toBeLessThan(600);
  });

  test('console counts and takes time, and says so in the log', async () => {
    const host = doorOf();
    const isolate = await opened(
      `console.count(); console.count({ toString: () => 'n' }); console.count(); console.countReset(); console.count(); console.countReset('none');
       console.time('t'); console.timeLog('t', 'so far'); console.timeEnd('t'); console.timeEnd('t'); return String(console)`,
      { host: host.door },
    );
    expect(await ask(isolate)).toBe('[object console]');
    const said = [
      'default: 1',
      'n: 1',
      'default: 2',
      'default: 1',
      'no counter none',
      't: # ms so far',
      't: # ms',
      'no timer t',
    ];
    await soon(() => host.logs.length >= said.length);
    expect(host.logs.map(({ message }) => message.replace(/\d+ ms/, '# ms'))).toEqual(said);
    expect(host.logs.filter(({ level }) => level === 'warn')).toHaveLength(2);
  });

  test('work that goes on after the answer still reaches the host', async () => {
    const host = doorOf({ publish: () => null });
    const isolate = await opened('Promise.resolve().then(() => ctx.publish("a.b", 1)); return "at once"', { host: host.door });
    expect(await ask(isolate)).toBe('at once');
    expect(await soon(() => host.asked.length === 1)).toBe(true);
  });
});

describe('errors of the author', () => {
  test("handler-failed has message and stack in the author's own lines, and is logged", async () => {
    const host = doorOf();
    // One mapping: line 2, column 0 of entry.js and on is line 41 of src/work.ts.
    const sourceMap = JSON.stringify({ version: 3, sources: ['src/work.ts'], names: [], mappings: ';AAwCA' });
    const source = handling('throw new RangeError("beyond")').trimStart();
    const isolate = await sandbox.open(openOf({ source: `\n${source}`, sourceMap }, { ...shared, host: host.door }));
    const fault = await faultFrom(ask(isolate));
    expect(fault.code).toBe('handler-failed');
    expect(fault.detail).toContain('RangeError: beyond');
    expect(fault.detail).toContain('src/work.ts:41:1');
    expect(host.logs[0]).toMatchObject({ level: 'error', message: 'call failed', fields: { what: 't.do' } });
  });

  test('an unhandled rejection and an error in a timer are logged and cost nobody an answer', async () => {
    const host = doorOf();
    const isolate = await opened(
      'Promise.reject(new Error("lost")); setTimeout(() => { throw new Error("later") }, 5); return input',
      {
        host: host.door,
      },
    );
    expect(await Promise.all([1, 2, 3].map((n) => ask(isolate, n)))).toEqual([1, 2, 3]);
    expect(await soon(() => ['lost', 'later'].every((word) => host.logs.some(({ message }) => message.includes(word))))).toBe(
      true,
    );
  });
});

describe('starting', () => {
  const start = (source: string, manifest = {}) => faultFrom(opened(`${source}\n/* export default */`, {}, manifest));

  test.each([
    ['a throw while loading', 'throw new Error("not today"); export default 1', 'not today'],
    ['a syntax error', 'export default {{', 'Unexpected token'],
    ['an import', 'import fs from "node:fs"; export default 1', 'imports "node:fs"'],
    ['no definition', 'export default 5', 'default export: expected what defineAgent'],
    ['another kind', 'export default { kind: "service", api: 1 }', 'expected kind "agent"'],
    [
      'a missing handler',
      'export default { kind: "agent", api: 1, capabilities: {} }',
      'capabilities["t.do"].handle: expected a function',
    ],
  ])('%s is start-failed and says so', async (_, source, detail) => {
    const fault = await start(source);
    expect(fault.code).toBe('start-failed');
    expect(fault.detail).toContain(detail);
  });

  test('a missing subscription, run and hook are named', async () => {
    const empty = handling('return 1');
    for (const [manifest, path] of [
      [{ subscribe: ['a.*'] }, 'subscribe["a.*"]'],
      [{ schedule: { nightly: { every: '1h' } } }, 'schedule["nightly"].run'],
      [{ hooks: { start: true } }, 'start: expected a function'],
    ] as const) {
      expect((await start(empty, manifest)).detail).toContain(path);
    }
  });

  test('a loop while loading ends with the turn', async () => {
    expect((await start('for(;;); export default 1')).code).toBe('turn-exceeded');
  });

  test('hooks, messages and runs', async () => {
    const host = doorOf();
    const source = `export default { kind: 'agent', api: 1, capabilities: { 't.do': { handle: () => seen } },
      subscribe: { 'a.*': (m, ctx) => { seen.push(m) } }, schedule: { tick: { run: async (ctx) => { await null; seen.push('tick') } } },
      start: async (ctx) => { await null; seen.push(ctx.config.a) }, stop: (ctx) => { ctx.log.info('stopped') }, health: () => well };
      const seen = []; let well = true; setTimeout(() => { well = false }, 1_500);`;
    const manifest = {
      subscribe: ['a.*'],
      schedule: { tick: { every: '1h' } },
      hooks: { start: true, stop: true, health: true },
      config: { a: 'started' },
    };
    const isolate = await opened(source, { host: host.door }, manifest);
    await isolate.message('a.*', 'a.b', '{"x":1}');
    await isolate.run('tick');
    expect(await ask(isolate)).toEqual(['started', { subject: 'a.b', data: { x: 1 } }, 'tick']);
    await isolate.health();
    await expect
      .poll(
        () =>
          isolate.health().then(
            () => 'well',
            (fault) => fault.code,
          ),
        { timeout: 10_000 },
      )
      .toBe('handler-failed');
    await isolate.close(1_000);
    expect(host.logs).toMatchObject([{ message: 'stopped' }]);
    expect(await isolate.exited).toEqual({ kind: 'closed' });
  });

  test('a start that throws is start-failed; one that never ends is deadline-exceeded', async () => {
    const source = (body: string) =>
      `export default { kind: 'agent', api: 1, capabilities: { 't.do': { handle() {} } }, start() { ${body} } };`;
    const manifest = { hooks: { start: true } };
    const fault = await faultFrom(opened(source('throw new Error("no key")'), {}, manifest));
    expect([fault.code, fault.detail.includes('no key')]).toEqual(['start-failed', true]);
    const brief = sandboxOf({ startTimeout: '4s', spareCells: 1 });
    await brief.start();
    const late = await faultFrom(brief.open(openOf({ source: source('return new Promise(() => {})'), manifest })));
    expect(late.code).toBe('deadline-exceeded');
    await brief.stop(500);
  });
});

describe('places', () => {
  test('one publisher shares a cell; another, and who is dedicated, does not', async () => {
    const source = 'return 1';
    const own = sandboxOf({ spareCells: 2 });
    await own.start();
    const warm = new Set(own.cells().map(({ pid }) => pid));
    const a1 = await own.open(openOf({ source }, shared));
    const a2 = await own.open(openOf({ source }, shared));
    const b = await own.open(openOf({ source, publisher: PUBLISHER_B }, shared));
    const alone = await own.open(openOf({ source }));
    expect(a1.cellPid).toBe(a2.cellPid);
    expect(new Set([a1.cellPid, b.cellPid, alone.cellPid]).size).toBe(3);
    expect(warm.has(a1.cellPid) && warm.has(b.cellPid)).toBe(true);
    expect(await soon(() => own.cells().filter(({ publisher }) => publisher === undefined).length === 2)).toBe(true);
    expect(own.cells().find(({ pid }) => pid === a1.cellPid)).toMatchObject({
      publisher: PUBLISHER_A,
      isolates: 2,
      dedicated: false,
    });
    await a1.close(100);
    expect(await ask(a2)).toBe(1);
    await own.stop(500);
    expect(own.cells()).toEqual([]);
  });

  test('closing lets calls in flight end, up to the deadline', async () => {
    const isolate = await opened('return new Promise((done) => setTimeout(done, input, "done"))');
    const quick = ask(isolate, 50);
    const slow = faultFrom(ask(isolate, 5_000));
    const closing = isolate.close(400);
    expect((await faultFrom(ask(isolate, 1))).code).toBe('workload-draining');
    expect(await quick).toBe('done');
    await closing;
    expect((await slow).code).toBe('workload-draining');
  });
});
