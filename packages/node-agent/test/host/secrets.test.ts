/** Secrets: where they come from, who may have which, and what never leaves. */
import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSealingSeed, sealSecret, unsealerFromSeed } from '@cim/contracts';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createRedactor } from '../../src/host/redact.ts';
import { loadSealingKey } from '../../src/host/sealing-key.ts';
import { secretReader } from '../../src/host/secrets.ts';

const code = (expected: string) => ({ code: expected });
const owner = { instance: 'cim-a', kind: 'agent', name: 'mailer' } as const;
let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cim-secrets-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('files are read at each use, by plain name only', async () => {
  const read = secretReader(directory, undefined);
  await expect(read(owner, 'smtp', undefined)).rejects.toMatchObject(code('secret-missing'));
  await writeFile(join(directory, 'smtp'), 'one\n');
  expect(await read(owner, 'smtp', undefined)).toBe('one');
  await writeFile(join(directory, 'smtp'), 'two');
  expect(await read(owner, 'smtp', undefined)).toBe('two');
  await expect(read(owner, '../smtp', undefined)).rejects.toMatchObject(code('invalid-input'));
  await expect(secretReader(undefined, undefined)(owner, 'smtp', undefined)).rejects.toMatchObject(code('secret-missing'));
});

test('a sealed one comes before a file of its name, for its workload alone', async () => {
  const unsealer = unsealerFromSeed(newSealingSeed());
  const read = secretReader(directory, unsealer);
  await writeFile(join(directory, 'smtp'), 'from the file');
  const sealed = { smtp: sealSecret('from the box', unsealer.publicKey, { ...owner, secret: 'smtp' }) };
  expect(await read(owner, 'smtp', sealed)).toBe('from the box');
  expect(await read(owner, 'smtp', undefined)).toBe('from the file');
  expect(await read(owner, 'smtp', {})).toBe('from the file');
  await expect(read({ ...owner, name: 'spy' }, 'smtp', sealed)).rejects.toMatchObject(code('secret-unsealable'));
  await expect(read(owner, 'constructor', sealed)).rejects.toMatchObject(code('secret-missing'));
});

describe('the sealing key', () => {
  test('is made once, for this user alone, and found again', async () => {
    const first = await loadSealingKey(directory);
    expect((await stat(join(directory, 'sealing.seed'))).mode & 0o777).toBe(0o600);
    expect((await loadSealingKey(directory)).publicKey).toBe(first.publicKey);
    expect(await readdir(directory)).toEqual(['sealing.seed']);
  });

  test('is one, however many start at once', async () => {
    const keys = await Promise.all(Array.from({ length: 8 }, () => loadSealingKey(directory)));
    expect(new Set(keys.map(({ publicKey }) => publicKey)).size).toBe(1);
    expect(await readdir(directory)).toEqual(['sealing.seed']);
  });

  test('is refused when others can read it, and when it is none', async () => {
    await loadSealingKey(directory);
    await chmod(join(directory, 'sealing.seed'), 0o644);
    await expect(loadSealingKey(directory)).rejects.toMatchObject({
      ...code('configuration-invalid'),
      detail: expect.stringContaining('expected mode 0600, found 0644'),
    });
    await rm(join(directory, 'sealing.seed'));
    await writeFile(join(directory, 'sealing.seed'), 'garbage', { mode: 0o600 });
    await expect(loadSealingKey(directory)).rejects.toMatchObject(code('configuration-invalid'));
  });
});

describe('redaction', () => {
  const spelled = (secret: string): string[] => [
    secret,
    JSON.stringify(secret),
    JSON.stringify(JSON.stringify(secret)),
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
    Buffer.from(secret).toString('base64url'),
    Buffer.from(secret).toString('hex'),
  ];

  test('takes out every spelling promised, wherever it stands', () => {
    const secret = fc.string({ unit: 'grapheme', minLength: 8, maxLength: 40 }).filter((text) => text.isWellFormed());
    fc.assert(
      fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
        const redactor = createRedactor();
        redactor.learn(value);
        for (const spelling of spelled(value)) {
          expect(redactor.text(`${before}${spelling}${after}`)).not.toContain(spelling);
        }
        // A key named by the secret, a value that holds it, and it alone.
        const said = JSON.stringify(redactor.value({ [value]: 1, deep: [{ text: `x${value}y` }], bare: value }));
        expect(said).not.toContain(JSON.stringify(value).slice(1, -1));
      }),
      { numRuns: 200 },
    );
  });

  test('leaves everything else as it is, and short values alone', () => {
    const redactor = createRedactor();
    redactor.learn('1234');
    const said = { a: [1, null, 'text 1234'], b: { c: true } };
    expect(redactor.value(said)).toBe(said);
    redactor.learn('correct horse');
    expect(redactor.value(said)).toBe(said);
    expect(redactor.text('nothing here')).toBe('nothing here');
    expect(redactor.value(undefined)).toBeUndefined();
  });

  test('a secret within another is taken out with the whole', () => {
    const redactor = createRedactor();
    redactor.learn('password');
    redactor.learn('password-and-more');
    expect(redactor.text('it is password-and-more')).toBe('it is [secret]');
  });
});
