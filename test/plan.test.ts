/**
 * The plan can fail: each rule is broken in a small tree laid for it, and must be named with its reason and the place.
 * A tree that breaks nothing passes, so that no rule fires at everything.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const PLAN = fileURLToPath(new URL('../scripts/plan/main.mjs', import.meta.url));

type Tree = Readonly<Record<string, string>>;

/** One house that keeps every rule, with each forbidden thing once where it is at home. */
const GOOD: Tree = {
  'packages/contracts/src/index.ts': "export * from './ids.ts';\nexport { now } from './base/time.ts';\n",
  'packages/contracts/src/ids.ts': 'export const id = (text: string) => text;\n',
  'packages/contracts/src/base/time.ts':
    'export const now = () => Date.now();\nexport const later = (f: () => void) => setTimeout(f, 1);\n',
  'packages/contracts/src/bus.ts': "import { wsconnect } from '@nats-io/nats-core';\nexport const open = wsconnect;\n",
  'packages/contracts/src/signing.ts': "import { createUser } from '@nats-io/nkeys';\nexport const user = createUser;\n",
  'packages/registry/src/main.ts':
    "import { pino } from 'pino';\nimport { start } from './registry.ts';\nstart(pino(), process.env, Math.random);\n",
  'packages/registry/src/registry.ts':
    "import { connect } from '@nats-io/transport-node';\nimport { id } from '@cim/contracts';\nexport const start = (...all: unknown[]) => [connect, id, all];\n",
  'packages/registry/src/http/server.ts': "import fastify from 'fastify';\nexport const server = fastify;\n",
  'packages/node-agent/src/sandbox/cell-main.ts':
    "import ivm from 'isolated-vm';\nexport const isolate = () => [new ivm.Isolate(), process.pid];\n",
  'packages/node-agent/src/dates.ts':
    'export interface Job { process: string; setTimeout(ms: number): void }\nexport const stamp = (ms: number, job: Job) => [new Date(ms), job.process, job.setTimeout(1)];\n',
  'packages/fleet/src/surroundings.ts': 'export const environment = process.env;\n',
  'packages/testkit/src/index.ts': "export * from './world.ts';\n",
  'packages/testkit/src/world.ts': "import { fleet } from '@cim/fleet';\nexport const world = fleet;\n",
  'packages/registry/test/a.test.ts': "import { world } from '@cim/testkit';\nexport const made = [world, Date.now()];\n",
};

/** Rule name, and the one file that breaks it; the reason must hold these words. */
const BROKEN: readonly (readonly [rule: string, reason: string, tree: Tree])[] = [
  [
    'no-circles',
    'one file in two halves',
    {
      'packages/registry/src/planted-1.ts': "import type { B } from './twin.ts';\nexport type A = B[];\n",
      'packages/registry/src/twin.ts': "import type { A } from './planted-1.ts';\nexport type B = A | 1;\n",
    },
  ],
  [
    'contracts-knows-nothing-of-ours',
    'ground floor',
    { 'packages/contracts/src/planted-2.ts': "import type { X } from '@cim/registry';\nexport type Y = X;\n" },
  ],
  [
    'registry-knows-contracts',
    'on the wire alone',
    { 'packages/registry/src/planted-3.ts': "export { x } from '@cim/node-agent';\n" },
  ],
  [
    'node-agent-knows-contracts',
    'no hub in sight',
    { 'packages/node-agent/src/planted-4.ts': "export { x } from '../../registry/src/registry.ts';\n" },
  ],
  [
    'alchemist-knows-contracts-and-nix-module',
    'any stranger',
    { 'packages/alchemist/src/planted-5.ts': "export const x = () => import('@cim/registry');\n" },
  ],
  [
    'nix-module-knows-contracts',
    'not under it',
    { 'packages/nix-module/src/planted-20.ts': "export { x } from '@cim/alchemist';\n" },
  ],
  [
    'fleet-knows-contracts-and-alchemist',
    'as processes',
    { 'packages/fleet/src/planted-6.ts': "export { x } from '@cim/node-agent';\n" },
  ],
  [
    'testkit-knows-contracts-and-fleet',
    'without a circle',
    { 'packages/testkit/src/planted-7.ts': "export { x } from '@cim/alchemist';\n" },
  ],
  [
    'only-tests-import-testkit',
    'bad bundles',
    { 'packages/fleet/src/planted-8.ts': "export { world } from '@cim/testkit';\n" },
  ],
  [
    'isolated-vm-in-the-cell',
    'cost a cell',
    { 'packages/node-agent/src/sandbox/sandbox.ts': "import type ivm from 'isolated-vm';\nexport type I = ivm.Isolate;\n" },
  ],
  [
    'nats-behind-the-bus',
    'without a server',
    { 'packages/node-agent/src/core/plan.ts': "import type { KV } from '@nats-io/kv';\nexport type K = KV;\n" },
  ],
  [
    'keys-in-signing',
    'trust is in doubt',
    { 'packages/alchemist/src/planted-9.ts': "export { createUser } from '@nats-io/nkeys';\n" },
  ],
  [
    'fastify-under-http',
    'only translates',
    { 'packages/registry/src/catalog.ts': "import type { FastifyReply } from 'fastify';\nexport type R = FastifyReply;\n" },
  ],
  [
    'pino-in-main',
    'handed',
    { 'packages/node-agent/src/planted-10.ts': "import { pino } from 'pino';\nexport const log = pino();\n" },
  ],
  ['index-is-a-door', 'faces outward', { 'packages/contracts/src/planted-11.ts': "export { id } from './index.ts';\n" }],
  [
    'no-dist-by-path',
    'may be older',
    { 'packages/registry/test/b.test.ts': "import { id } from '../../contracts/dist/index.js';\nexport const x = id;\n" },
  ],
  ['index-only-re-exports', 'no furniture', { 'packages/registry/src/index.ts': 'export const x = 1;\n' }],
  ['one-clock', 'another hour', { 'packages/registry/src/planted-12.ts': 'export const at = () => Date.now();\n' }],
  ['one-clock', 'another hour', { 'packages/registry/src/planted-13.ts': 'export const at = () => new Date();\n' }],
  [
    'one-home-of-timers',
    'takes it back',
    { 'packages/registry/src/planted-14.ts': 'export const f = () => setInterval(() => {}, 1);\n' },
  ],
  [
    'one-home-of-timers',
    'takes it back',
    { 'packages/registry/src/planted-15.ts': 'export const f = () => globalThis.setTimeout(() => {}, 1);\n' },
  ],
  [
    'one-home-of-timers',
    'takes it back',
    {
      'packages/registry/src/planted-16.ts':
        "import { setTimeout as sleep } from 'node:timers/promises';\nexport const f = sleep;\n",
    },
  ],
  [
    'chance-is-an-argument',
    'cannot be repeated',
    { 'packages/registry/src/planted-17.ts': 'export const f = () => Math.random();\n' },
  ],
  [
    'process-in-main',
    'hidden arguments',
    { 'packages/registry/src/planted-18.ts': "export const f = () => process.env['X'];\n" },
  ],
  [
    'process-in-main',
    'hidden arguments',
    { 'packages/registry/src/planted-19.ts': "import { env } from 'node:process';\nexport const f = env;\n" },
  ],
];

let folder: string;
let broken: { code: number; output: string };
let rules: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cim-plan-'));
  broken = await plan('broken', Object.assign({}, GOOD, ...BROKEN.map(([, , tree]) => tree)));
  rules = (await run('--rules')).output.trim().split('\n');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lays a tree and checks it as `npm run plan` does. */
async function plan(name: string, tree: Tree): Promise<{ code: number; output: string }> {
  const root = join(folder, name);
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return run('--root', root);
}

function run(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [PLAN, ...args], { timeout: 25_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr });
    });
  });
}

/** What the output says under one rule: its reason, and the arrows or places that break it. */
function under(rule: string): { reason: string; places: string[] } {
  const lines = broken.output.split('\n');
  const at = lines.findIndex((line) => line.startsWith(`${rule}: `));
  const rest = lines.slice(at + 1);
  const end = rest.findIndex((line) => !line.startsWith('  '));
  return { reason: lines[at] ?? '', places: at < 0 ? [] : rest.slice(0, end) };
}

test('a house that keeps the rules passes, and is counted', async () => {
  const { code, output } = await plan('good', GOOD);
  expect(output).toMatch(/^the plan holds: 14 modules, \d+ arrows\n$/);
  expect(code).toBe(0);
});

test.each(BROKEN)('%s is named with its reason and its place', (rule, reason, tree) => {
  const { reason: said, places } = under(rule);
  expect(said, broken.output).toContain(reason);
  expect(places.filter((line) => line.includes(`  ${Object.keys(tree)[0]}`))).toHaveLength(1);
  expect(broken.code).toBe(1);
});

test('nothing is named that was not planted', () => {
  const planted = BROKEN.flatMap(([, , tree]) => Object.keys(tree));
  const places = broken.output.split('\n').filter((line) => line.startsWith('  '));
  expect(places.filter((line) => !planted.some((path) => line.includes(path)))).toEqual([]);
});

test('every rule of the plan is broken here', () => {
  const names = rules.map((line) => line.split(':')[0]);
  expect(names.length).toBeGreaterThan(15);
  expect([...new Set(BROKEN.map(([rule]) => rule))].sort()).toEqual(names.sort());
});
