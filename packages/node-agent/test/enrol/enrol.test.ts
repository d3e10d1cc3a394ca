/** The node's side of identities: names lent to consumers, answers held back, and what is asked of the registry. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Fault, keyPairOf, readCreds, roleUserJwt, silentLogger, systemClock, waitUntil } from '@cim/contracts';
import { createAccount } from '@nats-io/nkeys';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createConditions } from '../../src/conditions.ts';
import { askEnrol } from '../../src/enrol/ask-registry.ts';
import { credentialsFile } from '../../src/enrol/credentials-file.ts';
import { enrol } from '../../src/enrol/enrol.ts';
import { createAnswerHold, type HubSign } from '../../src/enrol/hold.ts';
import { demandIdentity } from '../../src/enrol/identity.ts';
import { createCredentialKeeper } from '../../src/enrol/keeper.ts';

const account = createAccount();
const signer = createAccount();
const root = mkdtempSync(join(tmpdir(), 'cim-enrol-'));
const TOKEN = `cim-enrol-${'A'.repeat(43)}`;
const until = (check: () => boolean | Promise<boolean>) => waitUntil(systemClock, 10_000, check, 10);
let server: Server;
let url: string;
/** What the registry answers next: seconds a credential lives, or a fault. */
let answer: { lives: number; as?: string } | 'away' = { lives: 60 };
const asked: string[] = [];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let text = '';
    for await (const part of request) text += part;
    asked.push(text);
    if (answer === 'away') return void response.destroy();
    const body = JSON.parse(text) as { instance: string; publicKey: string; newKey?: string };
    const user = body.newKey ?? body.publicKey;
    const issued = Math.floor(Date.now() / 1000);
    const jwt = await roleUserJwt({
      role: 'node',
      name: answer.as ?? body.instance,
      user,
      account: account.getPublicKey(),
      signer,
      expiresAt: issued + answer.lives,
      serves: ['a'],
    });
    const iso = (at: number) => new Date(at * 1000).toISOString();
    const given = { jwt, instance: body.instance, publicKey: user, account: account.getPublicKey(), serves: ['a'] };
    response.end(JSON.stringify({ ...given, issuedAt: iso(issued), expiresAt: iso(issued + answer.lives) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  rmSync(root, { recursive: true, force: true });
});
const fileAt = (name: string) => credentialsFile(join(root, name), join(root, name, 'leaf.creds'));
const options = (name: string) => ({ instance: 'cim-a', door: { url }, file: fileAt(name), now: Date.now() });

test('the key is made once and named again until its answer has come; its seed is never sent', async () => {
  answer = 'away';
  await expect(enrol(options('once'), TOKEN, false)).rejects.toMatchObject({ code: 'hub-unreachable' });
  answer = { lives: 60 };
  const claims = await enrol(options('once'), TOKEN, false);
  const sent = asked.slice(-2).map((text) => (JSON.parse(text) as { publicKey: string }).publicKey);
  expect(sent).toEqual([claims.subject, claims.subject]);
  const file = join(root, 'once', 'leaf.creds');
  const { seed } = readCreds(readFileSync(file, 'utf8'), file);
  expect(asked.join('\n')).not.toContain(seed.slice(2, 50));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(keyPairOf(seed, 'x').getPublicKey()).toBe(claims.subject);
  await expect(enrol(options('once'), TOKEN, false)).rejects.toMatchObject({ code: 'conflict' });
});

test('a credential of somebody else is not taken', async () => {
  answer = { lives: 60, as: 'cim-b' };
  await expect(enrol(options('foreign'), TOKEN, false)).rejects.toMatchObject({ code: 'signature-invalid' });
  expect(await fileAt('foreign').read()).toBeUndefined();
});

test('no token goes over a wire in the clear', async () => {
  await expect(askEnrol({ url: 'http://hub.example.com:8484' }, {} as never)).rejects.toMatchObject({
    code: 'configuration-invalid',
  });
});

test('it is renewed with a new key when a third is left; while nobody answers its end is said', async () => {
  answer = { lives: 4 };
  const first = await enrol(options('keep'), TOKEN, false);
  const conditions = createConditions(systemClock);
  const told: number[] = [];
  const file = fileAt('keep');
  const keeper = createCredentialKeeper({
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    conditions,
    instance: 'cim-a',
    file,
    door: { url },
    replaced: (at) => told.push(at),
  });
  keeper.start();
  expect(await until(async () => (await file.read())!.claims.subject !== first.subject)).toBe(true);
  expect(await until(() => told.length > 0)).toBe(true);
  expect(told[0]).toBe(first.expiresAt! * 1000);
  answer = 'away';
  expect(await until(() => conditions.list().some(({ code }) => code === 'credentials-expired'))).toBe(true);
  expect(keeper.expiresAt()).toBe((await file.read())!.claims.expiresAt);
  await keeper.stop();
});

/** A keeper that hears what it is told, over a file and a registry of the test. */
function keeperOf(name: string, door: { readonly url: string } | undefined) {
  const told: number[] = [];
  const keeper = createCredentialKeeper({
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
    conditions: createConditions(systemClock),
    instance: 'cim-a',
    file: fileAt(name),
    door,
    replaced: (at) => told.push(at),
  });
  keeper.start();
  return { told, keeper };
}

test('a node started anew between the renewal and the old end still knows of that end', async () => {
  answer = { lives: 6 };
  const first = await enrol(options('anew'), TOKEN, false);
  const before = keeperOf('anew', { url });
  answer = { lives: 600 };
  expect(await until(() => before.told.length > 0)).toBe(true);
  await before.keeper.stop();
  expect((await fileAt('anew').read())!.claims.subject).not.toBe(first.subject);
  const after = keeperOf('anew', { url });
  expect(await until(() => after.told.length > 0)).toBe(true);
  await after.keeper.stop();
  expect([before.told, after.told]).toEqual([[first.expiresAt! * 1000], [first.expiresAt! * 1000]]);
  // Once it is over nobody is told.
  await until(() => Date.now() > first.expiresAt! * 1000);
  const late = keeperOf('anew', undefined);
  expect(await until(() => late.keeper.expiresAt() !== undefined)).toBe(true);
  await late.keeper.stop();
  expect(late.told).toEqual([]);
});

test('replaced by hand, or with a note of ends that is damaged, it goes on', async () => {
  answer = { lives: 500 };
  const first = await enrol(options('by-hand'), TOKEN, false);
  answer = { lives: 600 };
  const second = await enrol(options('by-hand'), TOKEN, true);
  const running = keeperOf('by-hand', undefined);
  expect(await until(() => running.told.length > 0)).toBe(true);
  await running.keeper.stop();
  expect(running.told).toEqual([first.expiresAt! * 1000]);
  expect(await fileAt('by-hand').replaced()).toEqual([first.expiresAt! * 1000]);
  for (const text of ['{"nonsense', '', 'null', '{"0":1}', '["1"]', '[-1]', '[1.5]', JSON.stringify(Array(99).fill(1))]) {
    writeFileSync(join(root, 'by-hand', 'identity', 'replaced.json'), text);
    expect([text, await fileAt('by-hand').replaced()]).toEqual([text, []]);
  }
  await enrol(options('by-hand'), TOKEN, true);
  expect(await fileAt('by-hand').replaced()).toEqual([second.expiresAt! * 1000]);
});

/** A hold planned for a moment that is 400 ms away, waited for until it has closed. */
async function closedHold(sign: () => HubSign) {
  const endsAt = Date.now() + 400;
  const hold = createAnswerHold({ clock: systemClock, askHub: async () => sign() });
  expect(hold.closed()).toBeUndefined();
  hold.plan(endsAt);
  expect(await until(() => hold.closed() !== undefined)).toBe(true);
  const openedAt = hold.closed()!.then(() => Date.now());
  return { hold, endsAt, openedAt };
}

test('answers wait while the link changes over, and go when the hub is heard over the new one', async () => {
  let sign: HubSign = 'heard';
  const { hold, endsAt, openedAt } = await closedHold(() => sign);
  // Heard over the old link, well after the end: it is cut up to a second late.
  await until(() => Date.now() >= endsAt + 500);
  expect(hold.closed()).toBeDefined();
  sign = 'no-link';
  // Away for longer than any cut can be late: still nothing may go.
  await until(() => Date.now() >= endsAt + 1_600);
  expect(hold.closed()).toBeDefined();
  sign = 'heard';
  const heardAt = Date.now();
  expect(await openedAt).toBeGreaterThanOrEqual(heardAt);
  expect(hold.closed()).toBeUndefined();
  hold.stop();
});

test('answers go at once when the new link is there early, and after the last moment for a cut when none was seen', async () => {
  let sign: HubSign = 'no-link';
  const early = await closedHold(() => sign);
  await until(() => Date.now() >= early.endsAt);
  expect(early.hold.closed()).toBeDefined();
  sign = 'heard';
  expect(await early.openedAt).toBeLessThan(early.endsAt + 1_000);
  const unseen = await closedHold(() => 'heard');
  expect(await unseen.openedAt).toBeGreaterThanOrEqual(unseen.endsAt + 1_000);
  // An answer that stays out proves no cut.
  let at = 0;
  const silent = await closedHold(() => (at++ < 3 ? 'silent' : 'heard'));
  expect(await silent.openedAt).toBeGreaterThanOrEqual(silent.endsAt + 1_000);
  for (const { hold } of [early, unseen, silent]) hold.stop();
});

test('an end further off than a timer reaches is met all the same, over a clock that is set meanwhile', () => {
  const DAY = 86_400_000;
  let now = 0;
  let next: { at: number; fire: () => void } | undefined;
  const after = (ms: number, fire: () => void) => {
    const mine = { at: now + Math.min(ms, 2 ** 31 - 1), fire };
    next = mine;
    const cancel = () => {
      if (next === mine) next = undefined;
    };
    return { cancel };
  };
  const clock = { ...systemClock, now: () => now, after };
  const hold = createAnswerHold({ clock, askHub: async () => 'silent' });
  hold.plan(30 * DAY);
  let set = false;
  while (hold.closed() === undefined && next && now < 31 * DAY) {
    now = next.at;
    if (!set && now > 10 * DAY) {
      set = true;
      now += 3_600_000;
    }
    next.fire();
  }
  expect(hold.closed()).toBeDefined();
  expect(now).toBeGreaterThan(30 * DAY - 1_000);
  expect(now).toBeLessThan(30 * DAY);
  hold.stop();
});

test('whatever waits goes when the node stops', async () => {
  const { hold, openedAt } = await closedHold(() => 'silent');
  hold.stop();
  expect(await openedAt).toBeGreaterThan(0);
  expect(hold.closed()).toBeUndefined();
});

test('nobody connects without saying who, unless it was asked for', () => {
  expect(() => demandIdentity({ nats: { url: 'x', hubDomain: 'hub' } })).toThrow(Fault);
  for (const nats of [{ user: 'a' }, { credentialsFile: 'f' }, { insecureDev: true }])
    expect(() => demandIdentity({ nats: { url: 'x', hubDomain: 'hub', ...nats } })).not.toThrow();
});
