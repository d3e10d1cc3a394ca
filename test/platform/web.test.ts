/** How the web platform of an isolate behaves, against what its standards say. */
import { describe, expect, test } from 'vitest';
import { cases, HEX, inside, NAME_OF, withSandbox } from './inside.ts';

withSandbox();

describe('encoding', () => {
  cases([
    [
      'a stream cut within a character',
      `const d = new TextDecoder(); return d.decode(Uint8Array.of(0xe2, 0x82), { stream: true }) + d.decode(Uint8Array.of(0xac)) + d.decode()`,
      '€',
    ],
    [
      'labels',
      `return ['utf8', 'latin1', ' UTF-16LE\\n', 'iso-8859-2'].map((l) => new TextDecoder(l).encoding)`,
      ['utf-8', 'windows-1252', 'utf-16le', 'iso-8859-2'],
    ],
    [
      'ignoreBOM',
      `const b = Uint8Array.of(0xef, 0xbb, 0xbf, 65); return [new TextDecoder().decode(b).length, new TextDecoder('utf-8', { ignoreBOM: true }).decode(b).length]`,
      [1, 2],
    ],
    [
      'encodeInto',
      `const to = new Uint8Array(4); return [new TextEncoder().encodeInto('a€€', to), [...to]]`,
      [{ read: 2, written: 4 }, [97, 226, 130, 172]],
    ],
    [
      'atob is lenient as HTML says',
      `${NAME_OF} return [atob(' YQ = = '), atob('YWI'), atob(''), await nameOf(() => atob('a')), await nameOf(() => atob('a=')), await nameOf(() => atob('a-b_')), await nameOf(() => atob())]`,
      ['a', 'ab', '', 'InvalidCharacterError', 'InvalidCharacterError', 'InvalidCharacterError', 'TypeError'],
    ],
    ['btoa', `return [btoa('\\u0000\\u00ff'), btoa(undefined), btoa(12)]`, ['AP8=', 'dW5kZWZpbmVk', 'MTI=']],
    [
      'text streams',
      `const s = new ReadableStream({ start(c) { c.enqueue('€\\ud83d'); c.enqueue('\\ude00'); c.close(); } }).pipeThrough(new TextEncoderStream()).pipeThrough(new TextDecoderStream()); let t = ''; for await (const x of s) t += x; return t`,
      '€😀',
    ],
  ]);
});

describe('url', () => {
  cases([
    [
      'relative',
      `return ['../x', '//h/p', '?q', '#f', '', 'HTTP:y', './/z'].map((r) => new URL(r, 'http://u:p@A.org:80/a/b?c#d').href)`,
      [
        'http://u:p@a.org/x',
        'http://h/p',
        'http://u:p@a.org/a/b?q',
        'http://u:p@a.org/a/b?c#f',
        'http://u:p@a.org/a/b?c',
        'http://u:p@a.org/a/y',
        'http://u:p@a.org/a//z',
      ],
    ],
    [
      'hosts',
      `return ['http://0x7f.1/', 'http://[::0:1]/', 'http://EXAMPLE.com./', 'http://faß.de/', 'http://xn--fa-hia.de/', 'http://☕.example/', 'file:///C|/x'].map((u) => new URL(u).href)`,
      [
        'http://127.0.0.1/',
        'http://[::1]/',
        'http://example.com./',
        'http://xn--fa-hia.de/',
        'http://xn--fa-hia.de/',
        'http://xn--53h.example/',
        'file:///C:/x',
      ],
    ],
    [
      'what is none',
      `return ['http://', 'http://a b/', 'http://[::1', 'http://1.2.3.256/', 'http://a:99999/', 'x', 'http://xn--a/', 'http://a%00b/'].map((u) => URL.canParse(u))`,
      Array(8).fill(false),
    ],
    [
      'setters',
      `const u = new URL('http://a/b'); u.port = '8080x'; u.protocol = 'https'; u.pathname = 'ü ?'; u.hash = ''; u.host = 'B:1'; u.searchParams.set('k', 'v w'); u.searchParams.append('k', '&'); return [u.href, u.searchParams.size, u.origin]`,
      ['https://b:1/%C3%BC%20%3F?k=v+w&k=%26', 2, 'https://b:1'],
    ],
    [
      'search parameters',
      `const p = new URLSearchParams([['b', '2'], ['a', '1'], ['b', '1']]); p.sort(); p.delete('b', '2'); return [String(p), p.has('b', '1'), [...new URLSearchParams('?x=%zz&&y=a+b%20c&z')], String(new URLSearchParams({ q: 'ü' }))]`,
      [
        'a=1&b=1',
        true,
        [
          ['x', '%zz'],
          ['y', 'a b c'],
          ['z', ''],
        ],
        'q=%C3%BC',
      ],
    ],
    [
      'URLPattern',
      `const p = new URLPattern({ pathname: '/books/:id(\\\\d+)/*' }); const m = p.exec('https://x.test/books/12/a/b'); return [m.pathname.groups, p.test('https://x.test/books/x/a')]`,
      [{ id: '12', 0: 'a/b' }, false],
    ],
    [
      'brands',
      `${NAME_OF} return [Object.prototype.toString.call(new URL('a:b')), await nameOf(() => URL('a:b')), await nameOf(() => Object.getOwnPropertyDescriptor(URL.prototype, 'href').get.call({}))]`,
      ['[object URL]', 'TypeError', 'TypeError'],
    ],
  ]);
});

describe('streams', () => {
  cases([
    [
      'backpressure',
      `const seen = []; const s = new ReadableStream({ pull(c) { seen.push(c.desiredSize); c.enqueue('x'); if (seen.length === 3) c.close(); } }, new CountQueuingStrategy({ highWaterMark: 2 })); await null; await null; const before = seen.length; let n = 0; for await (const _ of s) n += 1; return [before, n]`,
      [2, 3],
    ],
    [
      'tee, pipe and transform',
      `const up = new TransformStream({ transform(x, c) { c.enqueue(x * 2); }, flush(c) { c.enqueue('end'); } }); const [a, b] = ReadableStream.from([1, 2]).pipeThrough(up).tee(); const all = async (s) => { const out = []; for await (const x of s) out.push(x); return out; }; return Promise.all([all(a), all(b)])`,
      [
        [2, 4, 'end'],
        [2, 4, 'end'],
      ],
    ],
    [
      'errors go both ways',
      `${NAME_OF} const seen = []; const s = new ReadableStream({ start(c) { c.error(new RangeError('x')); } }); seen.push(await nameOf(() => s.getReader().read())); const w = new WritableStream({ write() { throw new SyntaxError('w'); } }).getWriter(); w.write(1).catch(() => {}); seen.push(await nameOf(() => w.closed)); const t = new ReadableStream({ cancel(r) { seen.push(r); } }); await t.cancel('why'); return seen`,
      ['RangeError', 'SyntaxError', 'why'],
    ],
    [
      'a byte stream with a reader that brings its buffer',
      `const s = new ReadableStream({ type: 'bytes', start(c) { c.enqueue(Uint8Array.of(1, 2, 3)); c.close(); } }); const r = s.getReader({ mode: 'byob' }); const one = await r.read(new Uint8Array(2)); const two = await r.read(new Uint8Array(2)); const end = await r.read(new Uint8Array(2)); return [[...one.value], [...two.value], end.done]`,
      [[1, 2], [3], true],
    ],
    [
      'a pipe that is stopped',
      `${NAME_OF} const c = new AbortController(); const p = new ReadableStream({ pull() { return new Promise(() => {}); } }).pipeTo(new WritableStream(), { signal: c.signal }); c.abort(); return nameOf(() => p)`,
      'AbortError',
    ],
    [
      'compression',
      `${NAME_OF} const through = async (bytes, t) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(t)).arrayBuffer()); const text = 'abc'.repeat(5000); const out = [];
      for (const f of ['gzip', 'deflate', 'deflate-raw']) { const packed = await through(text, new CompressionStream(f)); out.push(packed.length < 200, new TextDecoder().decode(await through(packed, new DecompressionStream(f))) === text); }
      const packed = await through(text, new CompressionStream('gzip')); out.push(await nameOf(() => through(packed.subarray(0, 20), new DecompressionStream('gzip'))), await nameOf(() => through('nothing packed', new DecompressionStream('gzip'))), await nameOf(() => new CompressionStream('zip'))); return out`,
      [true, true, true, true, true, true, 'TypeError', 'TypeError', 'TypeError'],
    ],
  ]);
});

describe('headers and bodies', () => {
  cases([
    [
      'headers are sorted, joined, and keep cookies apart',
      `const h = new Headers([['B', ' 2 '], ['a', '1'], ['set-cookie', 'x'], ['Set-Cookie', 'y'], ['b', '3']]); h.append('A', '4'); return [[...h], h.get('b'), h.getSetCookie(), h.get('none'), h.has('SET-COOKIE')]`,
      [
        [
          ['a', '1, 4'],
          ['b', '2, 3'],
          ['set-cookie', 'x'],
          ['set-cookie', 'y'],
        ],
        '2, 3',
        ['x', 'y'],
        null,
        true,
      ],
    ],
    [
      'what cannot be a header',
      `${NAME_OF} return Promise.all([['a b', 'x'], ['', 'x'], ['a', 'x\\ny'], ['a', '\\u0100'], ['a', '\\0']].map(([n, v]) => nameOf(() => new Headers([[n, v]]))))`,
      Array(5).fill('TypeError'),
    ],
    [
      'a blob',
      `const b = new Blob(['ab', Uint8Array.of(99, 100), new Blob(['€'])], { type: 'Text/Plain' }); return [b.size, b.type, await b.text(), await b.slice(1, -3, 'x/y').text(), b.slice(1, 2, 'x/y').type, [...new Uint8Array(await b.slice(-3).arrayBuffer())], (await new Response(b.stream()).text()).length]`,
      [7, 'text/plain', 'abcd€', 'bcd', 'x/y', [226, 130, 172], 5],
    ],
    [
      'a file',
      `const f = new File(['x'], 'n.txt', { lastModified: 5 }); return [f.name, f.lastModified, f instanceof Blob, await f.text(), Object.prototype.toString.call(f)]`,
      ['n.txt', 5, true, 'x', '[object File]'],
    ],
    [
      'a form goes out and comes back',
      `const f = new FormData(); f.append('a "q"', 'x\\ny'); f.append('f', new Blob([Uint8Array.of(13, 10, 45, 45)], { type: 'a/b' }), 'ü.bin'); f.append('a "q"', '2'); f.set('s', 1);
      const r = new Response(f); const back = await new Response(await r.arrayBuffer(), { headers: { 'content-type': r.headers.get('content-type') } }).formData(); const file = back.get('f');
      return [back.getAll('a "q"'), back.get('s'), file.name, file.type, [...new Uint8Array(await file.arrayBuffer())], [...back.keys()]]`,
      [['x\r\ny', '2'], '1', 'ü.bin', 'a/b', [13, 10, 45, 45], ['a "q"', 'f', 'a "q"', 's']],
    ],
    [
      'a form of the old kind',
      `return [...await new Response(new URLSearchParams('a=1&b=%20+')).formData()]`,
      [
        ['a', '1'],
        ['b', '  '],
      ],
    ],
    [
      'a body is read once',
      `${NAME_OF} const r = new Response('x'); await r.text(); const c = new Response('y'); const d = c.clone(); return [r.bodyUsed, await nameOf(() => r.json()), await nameOf(() => r.clone()), await c.text(), await d.text(), new Response().body, new Response().bodyUsed]`,
      [true, 'TypeError', 'TypeError', 'y', 'y', null, false],
    ],
    [
      'a body that is a stream',
      `const r = new Response(ReadableStream.from([Uint8Array.of(72), Uint8Array.of(105)])); const copy = r.clone(); const { value } = await r.body.getReader().read(); return [[...value], r.bodyUsed, await copy.text()]`,
      [[72], true, 'Hi'],
    ],
    [
      'responses',
      `${NAME_OF} const r = Response.json({ a: 1 }, { status: 201, statusText: 'Made' }); const to = Response.redirect('https://x.test/y', 303); return [r.status, r.ok, r.statusText, r.headers.get('content-type'), await r.json(), to.status, to.headers.get('location'), Response.error().type, await nameOf(() => new Response('x', { status: 204 })), await nameOf(() => new Response('', { status: 700 })), await nameOf(() => to.headers.set('a', 'b')), await nameOf(() => Response.redirect('https://x.test', 200))]`,
      [
        201,
        true,
        'Made',
        'application/json',
        { a: 1 },
        303,
        'https://x.test/y',
        'error',
        'TypeError',
        'RangeError',
        'TypeError',
        'RangeError',
      ],
    ],
    [
      'requests',
      `${NAME_OF} const r = new Request('https://x.test/a#b', { method: 'post', body: 'hi', headers: { 'x-a': '1' } }); const two = new Request(r, { headers: { 'x-b': '2' } }); return [r.method, r.url, r.headers.get('content-type'), r.bodyUsed, await two.text(), two.headers.get('x-a'), two.headers.get('x-b'), new Request('https://x.test', { method: 'patch' }).method, await nameOf(() => new Request('/rel')), await nameOf(() => new Request('https://x.test', { body: 'x' })), await nameOf(() => new Request('https://u:p@x.test')), await nameOf(() => new Request('https://x.test', { method: 'TRACE' }))]`,
      [
        'POST',
        'https://x.test/a#b',
        'text/plain;charset=UTF-8',
        true,
        'hi',
        null,
        '2',
        'patch',
        'TypeError',
        'TypeError',
        'TypeError',
        'TypeError',
      ],
    ],
    [
      'a request follows the signal it was given',
      `const c = new AbortController(); const r = new Request('https://x.test', { signal: c.signal }); c.abort('why'); return [r.signal.aborted, r.signal.reason, r.clone().signal.aborted]`,
      [true, 'why', true],
    ],
  ]);
});

describe('clone, events, messages', () => {
  cases([
    [
      'types and cycles',
      `const o = { d: new Date(5), r: /x/gi, m: new Map([['k', new Set([1n])]]), b: Object(1), u: undefined, z: -0, a: [, 1], e: Object.assign(new TypeError('t', { cause: 1 }), { own: 2 }) }; o.self = o; const c = structuredClone(o); return [c.self === c, c.d.getTime(), String(c.r), typeof [...c.m.get('k')][0], c.b instanceof Number, 'u' in c, Object.is(c.z, -0), 0 in c.a, c.a.length, c.e instanceof TypeError, c.e.message, c.e.cause, c.e.own === undefined]`,
      [true, 5, '/x/gi', 'bigint', true, true, true, false, 2, true, 't', 1, true],
    ],
    [
      'views share their buffer',
      `const b = new ArrayBuffer(8); const c = structuredClone({ a: new Uint8Array(b, 2, 3), d: new DataView(b), f: new Float64Array(b) }); return [c.a.buffer === c.d.buffer, c.a.byteOffset, c.a.length, c.d instanceof DataView, c.f instanceof Float64Array, c.a.buffer !== b]`,
      [true, 2, 3, true, true, true],
    ],
    [
      'a transfer takes away',
      `${NAME_OF} const b = new ArrayBuffer(4); const c = structuredClone({ b }, { transfer: [b] }); return [b.detached, c.b.byteLength, await nameOf(() => structuredClone(b)), await nameOf(() => structuredClone(1, { transfer: [{}] }))]`,
      [true, 4, 'DataCloneError', 'DataCloneError'],
    ],
    [
      'a transfer that fails leaves all as it was',
      `${NAME_OF} const b = new ArrayBuffer(4); return [await nameOf(() => structuredClone({ b, f() {} }, { transfer: [b] })), b.detached]`,
      ['DataCloneError', false],
    ],
    [
      'what cannot be cloned',
      `${NAME_OF} return Promise.all([Symbol('x'), () => 1, new WeakMap(), Promise.resolve(), { a: Object(Symbol('y')) }, new Response(), (function* () {})()].map((v) => nameOf(() => structuredClone(v))))`,
      Array(7).fill('DataCloneError'),
    ],
    [
      'getters and classes become plain',
      `class A { x = 1; get y() { return 2; } } const c = structuredClone(Object.assign(new A(), { get g() { return 3; } })); return [c.constructor === Object, c.x, c.y === undefined, c.g]`,
      [true, 1, true, 3],
    ],
    [
      'DOMException',
      `const e = new DOMException('m', 'DataCloneError'); return [e instanceof Error, e.name, e.message, e.code, DOMException.ABORT_ERR, String(e), Object.keys(e), new DOMException('m', { name: 'X', cause: 1 }).cause, typeof e.stack]`,
      [true, 'DataCloneError', 'm', 25, 20, 'DataCloneError: m', [], 1, 'string'],
    ],
    [
      'events',
      `const t = new EventTarget(); const seen = []; t.addEventListener('x', { handleEvent(e) { seen.push(e.detail, e.currentTarget === t); e.preventDefault(); } }); t.addEventListener('x', () => { throw new Error('told to the log'); }); t.addEventListener('x', () => seen.push('after')); const c = new AbortController(); t.addEventListener('x', () => seen.push('never'), { signal: c.signal }); c.abort(); return [t.dispatchEvent(new CustomEvent('x', { detail: 7, cancelable: true })), seen]`,
      [false, [7, true, 'after']],
    ],
    [
      'an event has a type, and a signal is one',
      `${NAME_OF} return [await nameOf(() => new Event()), await nameOf(() => new EventTarget().addEventListener('x', () => {}, { signal: null })), new Event('x').type, Event.name, new EventTarget() instanceof EventTarget]`,
      ['TypeError', 'TypeError', 'x', 'Event', true],
    ],
    [
      'a joined signal ends with the first of its sources, after that one and before anybody hears of it, and once',
      `const [a, b] = [new AbortController(), new AbortController()]; const seen = []; const joined = AbortSignal.any([AbortSignal.any([a.signal, b.signal]), a.signal]); joined.addEventListener('abort', () => seen.push('joined')); a.signal.addEventListener('abort', () => seen.push(['a', joined.aborted, joined.reason])); a.abort('why'); b.abort(); return [seen, AbortSignal.any([joined]).reason, AbortSignal.any([]).aborted]`,
      [[['a', true, 'why'], 'joined'], 'why', false],
    ],
    [
      'structuredClone of a Blob and a File',
      `const f = new File(['äb'], 'n.txt', { type: 'text/x', lastModified: 7 }); const { a, b } = structuredClone({ a: f, b: [f.slice(0, 2)] }); return [a !== f, a instanceof File, a.name, a.type, a.lastModified, await a.text(), b[0] instanceof File, b[0].size, await b[0].text()]`,
      [true, true, 'n.txt', 'text/x', 7, 'äb', false, 2, 'ä'],
    ],
    [
      'a message goes to the other port, as a copy, in another turn',
      `const { port1, port2 } = new MessageChannel(); const sent = { a: [1] }; const got = new Promise((done) => { port2.onmessage = (e) => done(e.data); }); port1.postMessage(sent); sent.a.push(2); return [await got, (await got) !== sent]`,
      [{ a: [1] }, true],
    ],
    [
      'the rest',
      `return [self === globalThis, navigator.userAgent, performance instanceof Performance, Object.prototype.toString.call(crypto), typeof reportError]`,
      [true, 'CIM', true, '[object Crypto]', 'function'],
    ],
  ]);
});

test('parts load whatever a guest did to the language before, and a part that was interrupted loads again', async () => {
  const spoiled = `const native = globalThis.URL === undefined; for (const key of ['TextEncoder', 'TextDecoder', 'DOMException', 'EventTarget']) globalThis[key] = class { constructor() { throw new Error('spoiled'); } };
    ${HEX} return [new URL('http://ä.test/x').href, hex(await crypto.subtle.digest('SHA-256', new Uint8Array(0))).slice(0, 8), await new Response('ü').text(), new AbortController().signal.aborted]`;
  expect(await inside(spoiled)).toEqual(['http://xn--4ca.test/x', 'e3b0c442', 'ü', false]);
  const deep = `const dive = (n) => { try { return dive(n + 1); } catch { return n; } }; const touch = (n) => { if (n > 0) return touch(n - 1); return new URL('http://a.test').href; };
    let failed = 0; for (let n = dive(0) * 2; n > 0; n -= 25) { try { return [touch(n), failed > 0]; } catch { failed += 1; } }`;
  expect(await inside(deep)).toEqual(['http://a.test/', true]);
});
