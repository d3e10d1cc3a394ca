/** The global scope a guest finds: what is there works, what must not be there is not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, openOf, sandboxOf } from './fixture.ts';

let sandbox: Sandbox;
beforeAll(async () => {
  sandbox = sandboxOf();
  await sandbox.start();
  // Keeps the shared cell alive between the tests.
  await sandbox.open(openOf({ source: 'return 1' }, { isolation: 'shared' }));
});
afterAll(() => sandbox.stop(500));

/** Answer of a handler with this body, in an isolate of its own. */
async function run(body: string): Promise<any> {
  const isolate = await sandbox.open(openOf({ source: body }, { isolation: 'shared' }));
  const answer = await ask(isolate);
  await isolate.close(100);
  return answer;
}

describe('what is there', () => {
  test.each([
    [
      'URL',
      `const u = new URL('../b?x=1#h', 'https://Exämple.org/a/c'); u.searchParams.append('y', 'ü'); return u.href`,
      'https://xn--exmple-cua.org/b?x=1&y=%C3%BC#h',
    ],
    ['URL refuses', `try { new URL('no url') } catch (e) { return e instanceof TypeError }`, true],
    ['URLSearchParams', `return [...new URLSearchParams('a=1&b=2&a=3').getAll('a')]`, ['1', '3']],
    [
      'TextEncoder',
      `return [...new TextEncoder().encode('ü€😀\\ud800')]`,
      [195, 188, 226, 130, 172, 240, 159, 152, 128, 239, 191, 189],
    ],
    ['TextDecoder', `return new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 195, 188, 0xff]))`, 'ü\ufffd'],
    [
      'TextDecoder fatal',
      `try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array([0xff])) } catch (e) { return e.name }`,
      'TypeError',
    ],
    ['atob and btoa', `return [btoa('hello'), atob('aGVsbG8=')]`, ['aGVsbG8=', 'hello']],
    ['btoa refuses', `try { btoa('€') } catch (e) { return e.name }`, 'InvalidCharacterError'],
    [
      'structuredClone',
      `const o = { d: new Date(0), m: new Map([[1, new Set([2])]]) }; o.self = o; const c = structuredClone(o);
      return [c !== o, c.self === c, c.d.getTime(), c.m.get(1).has(2)]`,
      [true, true, 0, true],
    ],
    ['structuredClone refuses', `try { structuredClone(() => 1) } catch (e) { return e.name }`, 'DataCloneError'],
    [
      'timers',
      `return (async () => { const seen = []; const i = setInterval(() => seen.push('i'), 5); const dead = setTimeout(() => seen.push('no'), 6);
      clearTimeout(dead); for (let n = 0; n < 400 && seen.length < 2; n += 1) await new Promise((r) => setTimeout(r, 5)); clearInterval(i); return seen.length >= 2 && !seen.includes('no') })()`,
      true,
    ],
    ['queueMicrotask', `return new Promise((r) => queueMicrotask(() => r('micro')))`, 'micro'],
    ['performance', `const a = performance.now(); return a >= 0 && performance.timeOrigin > 1e12`, true],
    ['getRandomValues', `const a = crypto.getRandomValues(new Uint32Array(4)); return a.some((n) => n !== 0)`, true],
    [
      'randomUUID',
      `return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID()) && crypto.randomUUID() !== crypto.randomUUID()`,
      true,
    ],
    [
      'AbortController',
      `const c = new AbortController(); const seen = []; c.signal.onabort = () => seen.push('on'); c.signal.addEventListener('abort', (e) => seen.push(e.type));
      c.abort(); c.abort(); return [seen, c.signal.aborted, c.signal.reason.name, c.signal instanceof EventTarget]`,
      [['on', 'abort'], true, 'AbortError', true],
    ],
    [
      'AbortSignal.any',
      `const c = new AbortController(); const s = AbortSignal.any([c.signal, new AbortController().signal]); c.abort('why'); return [s.aborted, s.reason]`,
      [true, 'why'],
    ],
    [
      'AbortSignal.timeout',
      `return new Promise((r) => { const s = AbortSignal.timeout(10); s.addEventListener('abort', () => r(s.reason.name)) })`,
      'TimeoutError',
    ],
    [
      'EventTarget',
      `const t = new EventTarget(); let n = 0; t.addEventListener('x', () => n++, { once: true }); t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x')); return n`,
      1,
    ],
    [
      'the language',
      `return [new Intl.NumberFormat('en').format(1234.5), [3, 1].toSorted(), typeof Temporal]`,
      ['1,234.5', [1, 3], 'undefined'],
    ],
  ])('%s', async (_, body, expected) => expect(await run(body)).toEqual(expected));

  test('not more timers than there is room for', async () => {
    expect(
      await run(`let n = 0; try { for (;;) { setTimeout(() => {}, 1e6); n++ } } catch (e) { return [n, e.name] }`),
    ).toEqual([1024, 'RangeError']);
  });
});

describe('what is not there', () => {
  test('nothing of Node, nothing of isolated-vm, no memory beyond the limits', async () => {
    const names = [
      'process',
      'require',
      'module',
      'exports',
      'global',
      'Buffer',
      'setImmediate',
      'WebSocket',
      'ivm',
      'isolated_vm',
      '_ivm',
    ];
    const gone = ['WebAssembly', 'SharedArrayBuffer', 'Atomics', 'gc', 'cimBoot', 'Worker', '__dirname'];
    expect(await run(`return ${JSON.stringify([...names, ...gone])}.filter((name) => name in globalThis)`)).toEqual([]);
  });

  test.each([
    ['eval', `eval('1')`],
    ['indirect eval', `(0, eval)('1')`],
    ['Function', `Function('return 1')()`],
    ['a constructor walk', `(() => {}).constructor('return this')()`],
    ['async functions', `(async () => {}).constructor('return this')()`],
    ['generators', `(function* () {}).constructor('yield this')().next()`],
    ['async generators', `(async function* () {}).constructor('yield this')().next()`],
    ['through ctx', `ctx.log.info.constructor('return this')()`],
    ['through an error', `try { null.x } catch (e) { return e.constructor.constructor('return process')() }`],
    ['a class', `(class {}).constructor('return 1')()`],
  ])('no code from strings: %s', async (_, code) => {
    expect(await run(`try { ${code}; return 'ran' } catch (e) { return e.name }`)).toBe('EvalError');
  });

  test('walks through constructors stay inside', async () => {
    const walk = `const seen = []; for (const start of [globalThis, ctx, call, console, console.log, setTimeout, ctx.kv.get('x').catch(() => {}), Error.prototype]) {
      let at = start; for (let i = 0; i < 12 && at; i++) { seen.push(typeof at.process, typeof at.mainModule, typeof at.require); at = at.constructor ?? Object.getPrototypeOf(at); } }
      return [...new Set(seen)]`;
    expect(await run(walk)).toEqual(['undefined']);
  });

  test('import() has nothing to import', async () => {
    expect(await run(`return import('node:fs').then(() => 'got it', () => 'refused')`)).toBe('refused');
  });

  test('Error.prepareStackTrace cannot be set, and FinalizationRegistry never calls', async () => {
    expect(
      await run(
        `Error.prepareStackTrace = () => 'mine'; return [Error.prepareStackTrace === undefined, new Error('x').stack.includes('mine')]`,
      ),
    ).toEqual([true, false]);
    expect(await run(`new FinalizationRegistry(() => {}).register({}, 1); return 'quiet'`)).toBe('quiet');
  });

  test('config and workload are frozen', async () => {
    expect(await run(`return [Object.isFrozen(ctx.config), Object.isFrozen(ctx.workload)]`)).toEqual([true, true]);
  });
});

describe('a guest that redefines the language harms itself only', () => {
  test.each([
    ['JSON', `JSON.parse = JSON.stringify = () => { throw 1 }`],
    ['Promise', `Promise.prototype.then = () => {}; globalThis.Promise = null`],
    [
      'Array',
      `Array.prototype.push = Array.prototype.join = Array.prototype[Symbol.iterator] = () => { throw 1 }; Object.defineProperty(Array.prototype, '0', { set() { throw 1 } })`,
    ],
    ['toJSON', `Object.prototype.toJSON = () => 'mine'`],
    ['String', `String.prototype.slice = String.prototype.charCodeAt = () => { throw 1 }`],
    ['Reflect', `Reflect.apply = () => { throw 1 }; Function.prototype.call = Function.prototype.apply = () => { throw 1 }`],
    ['the global object', `Object.freeze(globalThis)`],
  ])('%s', async (_, before) => {
    const isolate = await sandbox.open(
      openOf(
        {
          source: `${before}; export default { kind: 'agent', api: 1, capabilities: { 't.do': { async handle(n) { await null; return n + 1 } } } }`,
        },
        { isolation: 'shared' },
      ),
    );
    expect(await Promise.all([ask(isolate, 1), ask(isolate, 2)])).toEqual([2, 3]);
    await isolate.close(100);
  });
});
