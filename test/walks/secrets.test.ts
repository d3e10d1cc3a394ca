/**
 * Secrets from end to end: sealed by an operator, opened by one node alone, rotated without a restart, and found nowhere in anything the
 * fleet has written or said: files, streams, logs, events, status, metrics, faults, command lines, environments.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { signDesired } from '@cim/contracts';
import { waitFor } from '@cim/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openWorld, type World } from '../world.ts';

const A = 'cim-a';
const B = 'cim-b';
const SEALED = 'planted-sealed-4f9c2e7d51';
const ROTATED = 'planted-rotated-88e1b0c3aa';
const AT_START = 'planted-at-start-c0ffee42d1';
const BY_HAND = 'planted-by-hand-7711fe02b9';
const OWN_OF_B = 'planted-own-of-b-5d0a7c9e11';
const planted = [SEALED, ROTATED, AT_START, BY_HAND, OWN_OF_B];
const ALCHEMIST = new URL('../../packages/alchemist/bin/alchemist.mjs', import.meta.url).pathname;
let world: World;

/** Uses its secret in every way that might let it out: logs, throws, emits, and answers only what proves that it has it. */
const mailer = {
  name: 'mailer',
  manifest: {
    capabilities: { 'mailer.prove': {}, 'mailer.say': {}, 'mailer.fail': {}, 'mailer.emit': {} },
    grants: { secrets: ['smtp', 'boot'] },
    hooks: { start: true, stop: false, health: false },
  },
  entry: `
    const digest = (text) => { let h = 0; for (const c of text) h = (h * 31 + c.charCodeAt(0)) | 0; return h; };
    export default { api: 1, kind: 'agent',
      start: async (ctx) => { ctx.log.info('begun with ' + await ctx.secrets.get('boot')); },
      capabilities: {
        'mailer.prove': { handle: async (name, ctx) => digest(await ctx.secrets.get(name)) },
        'mailer.say': { handle: async (_, ctx) => { const s = await ctx.secrets.get('smtp'); ctx.log.error('login ' + s, { auth: { password: s } }); return 'said'; } },
        'mailer.emit': { handle: async (_, ctx) => { await ctx.emit('mail.failed', { why: 'password ' + await ctx.secrets.get('smtp') }); return 'emitted'; } },
        'mailer.fail': { handle: async (_, ctx) => { throw new Error('cannot log in with ' + await ctx.secrets.get('smtp')); } },
      } };`,
};
const digest = (text: string) => [...text].reduce((h, c) => (h * 31 + c.charCodeAt(0)) | 0, 0);

beforeAll(async () => {
  world = await openWorld();
  await world.deploySource(mailer, A, { secrets: { smtp: SEALED, boot: AT_START } });
}, 90_000);
afterAll(() => world[Symbol.asyncDispose](), 60_000);

test('a sealed secret reaches its workload, from its very start', async () => {
  expect(await world.call('mailer.prove', 'smtp')).toBe(digest(SEALED));
  expect(await world.call('mailer.prove', 'boot')).toBe(digest(AT_START));
  expect(await world.alchemist.secrets.list({ instance: A, name: 'mailer' })).toEqual([
    { secret: 'boot', to: (await world.statusOf(A)).sealingKey },
    { secret: 'smtp', to: (await world.statusOf(A)).sealingKey },
  ]);
});

test('a new value counts from the next read on, without a restart; the others stay', async () => {
  const before = await world.workloadOf(A, 'mailer');
  await world.alchemist.secrets.set({ instance: A, name: 'mailer' }, { smtp: ROTATED });
  expect(await world.call('mailer.prove', 'smtp')).toBe(digest(ROTATED));
  expect(await world.call('mailer.prove', 'boot')).toBe(digest(AT_START));
  const after = await world.workloadOf(A, 'mailer');
  expect(after).toMatchObject({ restarts: before!.restarts, digest: before!.digest });
  // A deployment that says nothing of secrets keeps them.
  await world.deploySource({ ...mailer, version: '1.1.0' }, A);
  expect(await world.call('mailer.prove', 'smtp')).toBe(digest(ROTATED));
});

test('the command seals from standard input, lists names and removes', async () => {
  // Not the synchronous kind: the links of the fleet live in this process.
  const alchemist = (argv: readonly string[], input = '') =>
    new Promise<any>((resolve, reject) => {
      const child = execFile(
        process.execPath,
        [ALCHEMIST, ...argv, '--profile', world.fleet.profileFile, '--json'],
        { timeout: 60_000 },
        (error, out, complaint) => (error ? reject(new Error(complaint || out, { cause: error })) : resolve(JSON.parse(out))),
      );
      child.stdin!.end(input);
    });
  const set = await alchemist(['secrets', 'set', 'mailer', 'extra', '-i', A], `${BY_HAND}\n`);
  expect(set).toMatchObject({ name: 'mailer', changed: true });
  expect(JSON.stringify(set)).not.toContain(BY_HAND);
  const names = async () => (await alchemist(['secrets', 'list', 'mailer', '-i', A])).secrets.map((one: any) => one.secret);
  expect(await names()).toEqual(['boot', 'extra', 'smtp']);
  await alchemist(['secrets', 'remove', 'mailer', 'extra', '-i', A]);
  expect(await names()).toEqual(['boot', 'smtp']);
});

test('a box that the hub hands to another instance does not open there, whoever signed for it', async () => {
  await world.deploySource(mailer, B, { secrets: { smtp: OWN_OF_B, boot: AT_START } });
  expect(await world.call('mailer.prove', 'smtp', { instance: B })).toBe(digest(OWN_OF_B));
  const { registry } = world.alchemist;
  const [ofA, ofB] = [await registry.desired(A, 'agent', 'mailer'), await registry.desired(B, 'agent', 'mailer')];
  const { document } = ofB!.record;
  const moved = { ...ofA!.record.document.secrets!['smtp']!, to: document.secrets!['smtp']!.to };
  const changed = { ...document, generation: document.generation + 1, secrets: { ...document.secrets, smtp: moved } };
  const signatures = [signDesired(changed, world.fleet.secrets.operator.signer)];
  await registry.putDesired({ document: changed, signatures }, ofB!.revision);
  await world.until(B, 'mailer', ({ generation }) => generation === changed.generation, 'told of the moved box');
  await expect(world.call('mailer.prove', 'smtp', { instance: B })).rejects.toMatchObject({
    code: 'handler-failed',
    detail: expect.stringContaining('does not open'),
  });
  // The other secret of the same document is whole.
  expect(await world.call('mailer.prove', 'boot', { instance: B })).toBe(digest(AT_START));
  await world.alchemist.undeploy({ name: 'mailer', instance: B });
});

test('what leaves the node says [secret] instead', async () => {
  const lines: string[] = [];
  const watch = await world.alchemist.logs({ instance: A, onLine: (line) => lines.push(JSON.stringify(line)) });
  expect(await world.call('mailer.say')).toBe('said');
  expect(await world.call('mailer.emit')).toBe('emitted');
  await expect(world.call('mailer.fail')).rejects.toMatchObject({
    code: 'handler-failed',
    detail: expect.stringContaining('cannot log in with [secret]'),
  });
  await waitFor(() => lines.some((line) => line.includes('login [secret]')), 10_000, 'the log line');
  expect(lines.find((line) => line.includes('login'))).toContain('"password":"[secret]"');
  const event = await waitFor(
    async () => (await world.alchemist.events({ instance: A, patterns: ['mail.*.failed'] })).at(-1),
    15_000,
    'the event at the hub',
  );
  expect(JSON.stringify(event)).toContain('password [secret]');
  await watch.stop();
});

test('a sealed secret survives a cold boot with the hub down', { timeout: 90_000 }, async () => {
  await world.killHub();
  await world.killAgent(A);
  await world.startAgent(A);
  const answer = await waitFor(() => world.callFrom(A, 'mailer.prove', 'smtp'), 20_000, 'a local answer');
  expect(answer.output).toBe(digest(ROTATED));
  await world.startHub();
  await waitFor(() => world.call('mailer.prove', 'smtp', { timeout: '2s' }), 30_000, 'an answer through the hub');
});

test('nothing the fleet wrote, said or runs with holds a planted secret', async () => {
  const spellings = planted.flatMap((secret) => [
    secret,
    Buffer.from(secret).toString('base64').replace(/=+$/, ''),
    Buffer.from(secret).toString('hex'),
  ]);
  const found: string[] = [];
  const look = (where: string, bytes: Buffer) => {
    for (const spelling of spellings) if (bytes.includes(spelling)) found.push(`${where}: ${spelling}`);
  };
  let files = 0;
  const walk = (folder: string) => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (!existsSync(path)) continue;
      const stat = statSync(path);
      if (stat.isDirectory()) walk(path);
      else if (stat.isFile()) {
        files++;
        look(path, readFileSync(path));
      }
    }
  };
  walk(world.fleet.directory);
  // Streams of hub and leaves, logs of every process, state of every node: there must have been something to look at.
  expect(files).toBeGreaterThan(30);

  const status = JSON.stringify([await world.statusOf(A), await world.healthOf(A), await world.workloadsOf(A)]);
  look('status', Buffer.from(status));
  look('events', Buffer.from(JSON.stringify(await world.alchemist.events({ limit: 1000 }))));
  const metrics = await fetch(`${world.member(A).agent.url}/metrics`);
  look('metrics', Buffer.from(await metrics.text()));

  const everybody = [world.member(A).agent.pid, ...world.cellsOf(A), world.fleet.registry.pid, world.fleet.hub.pid];
  for (const pid of everybody) {
    look(`environment of ${pid}`, readFileSync(`/proc/${pid}/environ`));
    look(`command line of ${pid}`, readFileSync(`/proc/${pid}/cmdline`));
  }
  expect(found).toEqual([]);
});

test('the grep finds what is there: a secret put into a file of the fleet is found', () => {
  // Guards the test above against looking in the wrong place.
  const hit = execFileSync('grep', ['-rlE', 'SX[A-Z2-7]{20,}', world.fleet.directory], { encoding: 'utf8' });
  expect(hit).toContain('sealing.seed');
});
