/**
 * The plan of the house as data: which room may know which, and why. `npm run plan` prints the reason of each rule that is broken.
 *
 * `arrows` are rules about imports, in dependency-cruiser's own form. `words` are rules about names that no import shows (the
 * clock, timers, chance, the process), read from the syntax tree by scripts/plan/words.mjs.
 */

const PACKAGES = ['contracts', 'registry', 'node-agent', 'alchemist', 'fleet', 'testkit', 'nix-module'];

/** A package of ours: its files, its built door, or its name when nothing is installed. */
const house = (...names) =>
  `^(packages/(${names.join('|')})/|@cim/(${names.join('|')})(/|$)|node_modules/@cim/(${names.join('|')})(/|$))`;
const sources = (...names) => `^packages/(${names.join('|')})/src/`;
/** A package from outside, found or not. */
const foreign = (name) => `(^|node_modules/)${name}(/|$)`;
const all = (...parts) => `(${parts.join('|')})`;

const mayImport = [
  { room: 'contracts', knows: [], reason: 'contracts is the ground floor: what all parts agree on can depend on none of them' },
  {
    room: 'registry',
    knows: ['contracts'],
    reason:
      'the hub and the leaf meet on the wire alone; a shared module would let one change without the other and break a mixed fleet',
  },
  {
    room: 'node-agent',
    knows: ['contracts'],
    reason: 'a leaf must start and run with no hub in sight, so it can depend on nothing but the contract',
  },
  {
    room: 'alchemist',
    knows: ['contracts', 'nix-module'],
    reason: 'the control plane speaks to registry and nodes as any stranger could: through the contract, over the wire',
  },
  {
    room: 'nix-module',
    knows: ['contracts'],
    reason: 'it turns data into Nix and compares schemas: whoever composes machines stands on it, not under it',
  },
  {
    room: 'fleet',
    knows: ['contracts', 'alchemist'],
    reason:
      'the fleet starts registry and node-agent as processes, as on a real machine; an import would make it another program',
  },
  {
    room: 'testkit',
    knows: ['contracts', 'fleet'],
    reason: 'the testkit stands on the fleet and the contract, so that every package can use it without a circle',
  },
].map(({ room, knows, reason }) => ({
  name: `${room}-knows-${knows.length === 0 ? 'nothing-of-ours' : knows.join('-and-')}`,
  comment: reason,
  from: { path: sources(room) },
  to: { path: house(...PACKAGES.filter((other) => other !== room && !knows.includes(other))) },
}));

export const arrows = [
  {
    name: 'no-circles',
    comment: 'two files that need each other are one file in two halves: neither can be read, tested or replaced alone',
    from: {},
    to: { circular: true },
  },
  ...mayImport,
  {
    name: 'only-tests-import-testkit',
    comment: 'the testkit holds bad bundles and shortcuts; what ships must not be able to reach them',
    from: { path: '^packages/(?!testkit/)[^/]+/src/' },
    to: { path: house('testkit') },
  },
  {
    name: 'isolated-vm-in-the-cell',
    comment: 'an escape or a crash of V8 may cost a cell, never the daemon: only the cell process loads isolated-vm',
    from: { path: '^(packages|bench)/', pathNot: '^packages/node-agent/src/sandbox/(cell-main\\.ts$|cell/)' },
    to: { path: foreign('isolated-vm') },
  },
  {
    name: 'nats-behind-the-bus',
    comment:
      'NATS is reached through the bus, the store and the composition roots; every other room gets plain functions and can be tested without a server',
    from: {
      path: '^packages/[^/]+/src/',
      pathNot: all(
        '^packages/contracts/src/bus[^/]*\\.ts$',
        '^packages/contracts/src/bus/',
        '^packages/registry/src/store',
        '^packages/registry/src/registry\\.ts$',
        '^packages/node-agent/src/hub/',
        '^packages/node-agent/src/node\\.ts$',
        '^packages/alchemist/src/connection[^/]*(\\.ts$|/)',
        sources('fleet', 'testkit'),
      ),
    },
    to: { path: foreign('@nats-io/(?!nkeys|jwt)[^/]+') },
  },
  {
    name: 'keys-in-signing',
    comment:
      'keys are handled where signatures are made and checked, so that there is one place to read when trust is in doubt',
    from: {
      path: '^packages/[^/]+/src/',
      pathNot: all(
        '^packages/contracts/src/(bus|ed25519|signing|sealing|keys|identity)[^/]*(\\.ts$|/)',
        '^packages/registry/src/(store|registry\\.ts$|keys)',
        '^packages/node-agent/src/(hub/|node\\.ts$|keys)',
        '^packages/alchemist/src/(connection|keys)',
        sources('fleet', 'testkit'),
      ),
    },
    to: { path: foreign('@nats-io/(?:nkeys|jwt)') },
  },
  {
    name: 'fastify-under-http',
    comment: 'what a request can do is written in rooms that do not know HTTP; the http folder only translates',
    from: { path: '^packages/[^/]+/src/', pathNot: '/http/' },
    to: { path: foreign('(fastify|@fastify|fastify-type-provider-zod|@scalar)') },
  },
  {
    name: 'pino-in-main',
    comment: "a logger is made once, by the process that owns the output; rooms are handed contracts' Logger",
    from: { path: '^packages/[^/]+/src/', pathNot: '/main\\.ts$' },
    to: { path: foreign('pino') },
  },
  {
    name: 'index-is-a-door',
    comment:
      'a door faces outward: a room that enters through its own door imports the whole house, and that is how circles start',
    from: { path: '^packages/([^/]+)/src/' },
    to: { path: '^packages/$1/src/index\\.ts$' },
  },
];

const MAIN = '/main\\.ts$';
const CLI = '^packages/[^/]+/src/cli/';
/** The one file of a package that says what its program finds around itself; the rest is handed that. */
const SURROUNDINGS = '/surroundings\\.ts$';
const CELL = '^packages/node-agent/src/sandbox/(cell-main\\.ts$|cell/)';
/** Guest code: it is bundled into the isolate and never runs in a process of ours. */
const PRELUDE = '^packages/node-agent/src/sandbox/prelude/';
const TIME = '^packages/contracts/src/base/time\\.ts$';

/**
 * `globals`: names used without a declaration in the file. `members`: `Object.member`, again with a global object.
 * `modules`: imports that give the same by another way. `homes`: the files that may.
 * @type {{ name: string, reason: string, globals?: string[], members?: string[], bareNew?: string[], modules?: string[], homes: string[] }[]}
 */
export const words = [
  {
    name: 'one-clock',
    reason:
      'time is an argument: a room that reads the clock by itself cannot be tested at another hour (contracts/src/base/time.ts hands it out)',
    members: ['Date.now', 'performance.now', 'process.hrtime', 'process.uptime'],
    bareNew: ['Date'],
    modules: ['node:perf_hooks'],
    homes: [TIME, CELL, PRELUDE],
  },
  {
    name: 'one-home-of-timers',
    reason: 'every timer has an owner that takes it back: contracts/src/base/time.ts makes them, with a signal that ends them',
    globals: ['setTimeout', 'setInterval'],
    modules: ['node:timers', 'node:timers/promises'],
    homes: [TIME, CELL, PRELUDE],
  },
  {
    name: 'chance-is-an-argument',
    reason: 'a choice by chance that is not handed in cannot be repeated when it goes wrong',
    members: ['Math.random'],
    homes: [TIME, MAIN, SURROUNDINGS, PRELUDE],
  },
  {
    name: 'process-in-main',
    reason: 'environment, signals and exit belong to the entry of a process; a room that reads them has hidden arguments',
    globals: ['process'],
    modules: ['node:process', 'process'],
    homes: [MAIN, CLI, CELL, SURROUNDINGS, PRELUDE],
  },
];

/** Of every file, tests and examples too: an import by path never enters dist. */
export const built = {
  name: 'no-dist-by-path',
  reason: 'dist is made from src and may be older; another package is imported by its name, through its door',
};

/** Said of a file that breaks it, as the words above are: index.ts holds `export ... from` and nothing else. */
export const door = {
  name: 'index-only-re-exports',
  reason: 'a door holds no furniture: what index.ts declares can be imported by nobody inside the package',
};
