/** Children, locks, secrets, revival: what keeps a state directory and a machine in order. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signerFromSeed, TokenFile } from '@cim/contracts';
import { manualClock, temporaryDirectory, waitFor } from '@cim/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ChildEnd, startChild } from '../src/machine/child.ts';
import { endLeftovers, ledgerDirectory, takeLock } from '../src/machine/lock.ts';
import { freePort, isFree } from '../src/machine/ports.ts';
import { startOf } from '../src/machine/surroundings.ts';
import { reviver } from '../src/revive.ts';
import { openSecrets } from '../src/secrets.ts';

let directory: ReturnType<typeof temporaryDirectory>;
beforeEach(() => {
  directory = temporaryDirectory('cim-fleet-machine');
});
afterEach(() => directory[Symbol.dispose]());

const child = (script: string, ledgerFile?: string) =>
  startChild({
    name: 'child',
    command: '/bin/sh',
    args: ['-c', script],
    cwd: directory.path,
    logFile: join(directory.path, 'child.log'),
    ...(ledgerFile === undefined ? {} : { ledgerFile }),
  });

describe('a child', () => {
  test('that is deaf to SIGTERM is ended at the deadline', async () => {
    const deaf = await child("trap '' TERM; echo deaf >&2; while :; do sleep 0.05; done");
    await waitFor(() => readFileSync(deaf.logFile, 'utf8').includes('deaf'), 5_000, 'the trap to be set');
    expect(await deaf.stop(200)).toMatchObject({ signal: 'SIGKILL', asked: true });
    expect(startOf(deaf.pid)).toBeUndefined();
  });

  test('that ends by itself says how, unasked, and its last words are in the log', async () => {
    const gone = await child('echo last words >&2; exit 7');
    expect(await gone.ended).toEqual({ code: 7, signal: null, asked: false });
    expect(readFileSync(gone.logFile, 'utf8')).toBe('last words\n');
  });

  test('that cannot be started is a fault that names the program', async () => {
    const logFile = join(directory.path, 'log');
    const starting = startChild({ name: 'x', command: '/no/such/program', args: [], cwd: directory.path, logFile });
    const outcome = await starting.then(
      async (started) => started.ended,
      (error) => error,
    );
    // Behind the tether the program is looked for by the tether, which says so in the log.
    if (outcome instanceof Error) expect(outcome.message).toContain('/no/such/program');
    else expect(readFileSync(logFile, 'utf8')).toContain('/no/such/program');
  });

  test('sees none of the settings that are meant for us', async () => {
    process.env['CIM_TOKEN'] = 'secret';
    try {
      const talker = await child('env >&2');
      await talker.ended;
      expect(readFileSync(talker.logFile, 'utf8')).not.toContain('CIM_TOKEN');
    } finally {
      delete process.env['CIM_TOKEN'];
    }
  });
});

describe('the lock of a state directory', () => {
  test('is held by one at a time and given back', () => {
    const lock = takeLock(directory.path);
    expect(() => takeLock(directory.path)).toThrow(`process ${process.pid} runs a fleet there`);
    lock.release();
    takeLock(directory.path).release();
    expect(existsSync(join(directory.path, 'lock.json'))).toBe(false);
  });

  test.each([
    ['a dead process', { pid: 2 ** 22 - 3, started: '1' }],
    ['a living process that started at another time', { pid: process.pid, started: '1' }],
  ])('of %s is taken over', (_, holder) => {
    writeFileSync(join(directory.path, 'lock.json'), JSON.stringify(holder));
    takeLock(directory.path).release();
  });

  test('that is garbage is taken over', () => {
    writeFileSync(join(directory.path, 'lock.json'), '{"pid":');
    takeLock(directory.path).release();
  });
});

test('what a dead fleet left running is ended, and nobody else', async () => {
  const ledger = ledgerDirectory(directory.path);
  const left = await child('sleep 60', join(ledger, 'left.json'));
  const bystander = await child('sleep 60');
  writeFileSync(join(ledger, 'stale.json'), JSON.stringify({ pid: bystander.pid, started: '1' }));
  expect(await endLeftovers(directory.path)).toBe(1);
  expect(await left.ended).toMatchObject({ signal: 'SIGTERM', asked: false });
  expect(bystander.end()).toBeUndefined();
  await bystander.stop(2_000);
  expect(existsSync(ledger)).toBe(false);
  expect(await endLeftovers(directory.path)).toBe(0);
});

test('secrets are made once, are private, and the token file holds hashes only', () => {
  const first = openSecrets(join(directory.path, 'secrets'));
  const again = openSecrets(join(directory.path, 'secrets'));
  expect(again.password('admin')).toBe(first.password('admin'));
  expect(again.token('viewer')).toBe(first.token('viewer'));
  expect(again.publisher.publicKey).toBe(first.publisher.publicKey);
  expect(first.password('admin')).not.toBe(first.password('registry'));
  expect(first.publisher.publicKey).toMatch(/^A/);
  expect(first.operator.publicKey).toMatch(/^O/);
  expect(signerFromSeed(readFileSync(first.operator.seedFile, 'utf8')).publicKey).toBe(first.operator.publicKey);
  for (const file of [first.passwordFile('admin'), first.tokenFile('viewer'), first.publisher.seedFile]) {
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  const { tokens } = TokenFile.parse(first.tokens);
  expect(tokens.map(({ roles }) => roles[0])).toEqual(['viewer', 'publisher', 'operator', 'admin']);
  expect(JSON.stringify(tokens)).not.toContain(first.token('admin'));
});

test('a wished port is taken when it is free, else one below the ephemeral range', async () => {
  const taken = new Set<number>();
  const first = await freePort('127.0.0.1', undefined, taken);
  expect(first).toBeGreaterThanOrEqual(20_000);
  expect(first).toBeLessThan(32_000);
  expect(await isFree('127.0.0.1', first)).toBe(true);
  expect(await freePort('127.0.0.1', first, new Set())).toBe(first);
  expect(await freePort('127.0.0.1', first, taken)).not.toBe(first);
});

describe('revival', () => {
  /** A process whose end is ours to say. */
  function puppet(failures = 0) {
    let ending = Promise.withResolvers<ChildEnd>();
    let starts = 0;
    return {
      ended: () => ending.promise,
      async start() {
        starts++;
        if (failures-- > 0) throw new Error('no luck');
        ending = Promise.withResolvers();
      },
      end: (asked: boolean) => ending.resolve({ code: 1, signal: null, asked }),
      starts: () => starts,
    };
  }

  test('what ends unasked comes back, after growing pauses when it fails; what was asked to end stays away', async () => {
    const clock = manualClock();
    const said: string[] = [];
    const changes: number[] = [];
    const revival = reviver(clock, (line) => said.push(line));
    revival.onChange(() => changes.push(clock.monotonic()));
    const one = puppet(2);
    revival.watch('one', one);
    one.end(false);
    await clock.advance(199);
    expect(one.starts()).toBe(0);
    await clock.advance(1 + 400 + 800);
    expect(one.starts()).toBe(3);
    expect(changes).toEqual([1400]);
    expect(said).toEqual([
      'one ended by itself (exit code 1), starting it again',
      'one does not come back: no luck',
      'one does not come back: no luck',
      'one is back',
    ]);
    one.end(true);
    await clock.advance(60_000);
    expect(one.starts()).toBe(3);
  });

  test('nothing is started after stop', async () => {
    const clock = manualClock();
    const revival = reviver(clock, () => {});
    const one = puppet();
    revival.watch('one', one);
    one.end(false);
    await clock.advance(100);
    revival.stop();
    await clock.advance(60_000);
    expect(one.starts()).toBe(0);
    expect(clock.waiting()).toBe(0);
  });
});
