/** Bundles that strike while they are loaded: the entry file, its default export, `start`. */
import { HONEST, type Hostile, loading, type Outcome } from '../case.ts';

const slow: Outcome = [['turn-exceeded'], ['out-of-time']];
const broken: Outcome = [['start-failed'], ['faulted']];
const greedy: Outcome = [
  ['out-of-memory', 'turn-exceeded'],
  ['out-of-memory', 'out-of-time'],
];

const START = (body: string) =>
  `export default { kind: 'agent', api: 1, capabilities: { 'DO': { handle: (input) => input } }, start(ctx) { ${body} } };`;

export const loads: readonly Hostile[] = [
  loading('load-spin', `for (;;); ${HONEST}`, slow, { says: /200 ms/ }),
  loading('load-promise-spin', `Promise.resolve().then(() => { for (;;); }); ${HONEST}`, slow),
  loading('load-includes', `[].includes.call({ length: 2 ** 53 - 1 }, 1); ${HONEST}`, slow),
  loading('load-throw', `throw new Error('no'); ${HONEST}`, broken, { says: /no/ }),
  loading('load-throw-getter', `throw { get message() { for (;;); } }; ${HONEST}`, slow),
  loading('load-throw-null', `throw null; ${HONEST}`, broken),
  loading('load-throw-symbol', `throw Symbol('s'); ${HONEST}`, broken),
  loading('load-syntax', 'export default {{{', broken),
  loading('load-native-syntax', `%DebugPrint(1); ${HONEST}`, broken),
  loading('load-nothing', 'const x = 1;', broken),
  loading('load-null', 'export default null;', broken),
  loading('load-getter-spin', 'export default { get kind() { for (;;); } };', slow),
  loading('load-getter-throws', 'export default { get kind() { throw new Error("mine") } };', broken, { says: /mine/ }),
  loading('load-proxy', 'export default new Proxy({}, { get() { for (;;); } });', slow),
  loading(
    'load-handle-getter',
    "export default { kind: 'agent', api: 1, capabilities: { 'DO': { get handle() { for (;;); } } } };",
    slow,
  ),
  loading('load-no-handler', "export default { kind: 'agent', api: 1, capabilities: {} };", broken, { says: /handle/ }),
  loading('load-other-kind', "export default { kind: 'service', api: 1, capabilities: {} };", broken, { says: /kind/ }),
  loading('load-import', `import fs from 'node:fs'; ${HONEST}`, broken, { says: /node:fs/ }),
  loading('load-import-file', `import x from '../../../etc/passwd'; ${HONEST}`, broken),
  loading('load-await-endless', `await new Promise(() => {}); ${HONEST}`, broken),
  loading('load-await-spin', `for (;;) await null; ${HONEST}`, slow),
  loading('load-memory', `const all = []; for (;;) all.push({ a: [1] }); ${HONEST}`, greedy, {
    limits: { turnMs: 1_500 },
  }),
  loading('load-deep', `export default ${'['.repeat(20_000)}${']'.repeat(20_000)};`, broken),
  // 339 KB each: one that no parser's stack holds, and one whose every level is read again when it runs.
  loading('load-nested', `${'(function(){'.repeat(21_200)}${'})()'.repeat(21_200)}; ${HONEST}`, broken),
  loading(
    'load-nested-lazy',
    `${'(function(){'.repeat(1_000)}const all = [${'"0123456789abcdef",'.repeat(17_000)}];${'})()'.repeat(1_000)}; throw new Error('through'); ${HONEST}`,
    [
      ['turn-exceeded', 'start-failed', 'deadline-exceeded'],
      ['out-of-time', 'faulted'],
    ],
  ),
  loading(
    'load-large',
    `const big = [${'"0123456789abcdef",'.repeat(60_000)}]; throw new Error('large ' + big.length); ${HONEST}`,
    broken,
  ),
  loading('start-throws', START("throw new Error('not today')"), broken, { start: true, says: /not today/ }),
  loading('start-spin', START('for (;;);'), slow, { start: true }),
  loading('start-never', START('return new Promise(() => {})'), [['deadline-exceeded'], ['faulted']], { start: true }),
  loading('start-memory', START('const all = []; for (;;) all.push({ a: [1] })'), greedy, {
    start: true,
    limits: { turnMs: 1_500 },
  }),
];
