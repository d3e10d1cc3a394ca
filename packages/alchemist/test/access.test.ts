/** Tokens and the audit log from the command line, against a real registry; and what is found when a log was touched. */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_CHAIN, type AuditBody, type AuditEntry, type ChainHead, headOf, link, newId } from '@cim/contracts';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseHead, renderHead, verifyAuditLog } from '../src/audit-log.ts';
import { type TestFleet, testFleet } from './fleet.ts';
import { cli, folder, hello, write } from './support.ts';

let fleet: TestFleet;
let root: string;
const run = (argv: readonly string[], env: Record<string, string> = {}) => cli(root, argv, { env: { ...fleet.env, ...env } });
const json = async (argv: readonly string[], env = {}) => JSON.parse((await run([...argv, '--json'], env)).out);

beforeAll(async () => {
  fleet = await testFleet('cim-a');
  root = await folder();
});
afterAll(async () => fleet?.stop());

describe('tokens', () => {
  test('are made, shown once, good for what they say, listed and revoked', async () => {
    const made = await run([
      'token',
      'create',
      'ci',
      '--role',
      'publisher',
      '--scope',
      'workloads=in*,hello',
      '--expires',
      '90d',
      '--reason',
      'für später',
    ]);
    expect([made.code, made.out]).toEqual([0, expect.stringMatching(/^cim_[0-9a-f]{16}_[\w-]{43}\n$/)]);
    const token = made.out.trim();
    const [listed] = (await json(['token', 'list'])).tokens;
    expect(listed).toMatchObject({ name: 'ci', roles: ['publisher'], scope: { workloads: ['in*', 'hello'] }, state: 'good' });
    expect(Date.parse(listed.expiresAt) - Date.now()).toBeGreaterThan(89 * 86_400_000);
    expect(JSON.stringify(listed)).not.toContain(token.slice(-40));
    const project = await write(await folder(), hello());
    expect((await run(['publish', project], { CIM_TOKEN: token })).code).toBe(0);
    const renamed = { ...hello(), 'package.json': hello()['package.json']!.replace('hello', 'other') };
    expect((await run(['publish', await write(await folder(), renamed)], { CIM_TOKEN: token })).code).toBe(3);
    expect((await run(['token', 'list'], { CIM_TOKEN: token })).code).toBe(3);
    expect((await run(['token', 'revoke', listed.id, '--reason', 'lost'])).code).toBe(0);
    expect((await run(['catalog'], { CIM_TOKEN: token })).code).toBe(3);
    expect((await run(['token', 'list'])).out).toMatch(/ci +revoked/);
    const file = join(root, 'ops.token');
    const written = await run(['token', 'create', 'ops', '--role', 'operator', 'viewer', '--out', file]);
    expect([written.code, statSync(file).mode & 0o777, written.out.includes('cim_')]).toEqual([0, 0o600, false]);
    expect((await run(['nodes', '--token-file', file], { CIM_TOKEN: '' })).code).toBe(0);
  });

  test.each([
    [['token', 'create', 'x'], '--role'],
    [['token', 'create', 'x', '--role', 'king'], '--role'],
    [['token', 'create', 'x', '--role', 'viewer', '--scope', 'planets=mars'], '--scope'],
    [['token', 'create', 'x', '--role', 'viewer', '--expires', 'soon'], '--expires'],
    [['token', 'create', 'x', '--role', 'admin', '--scope', 'workloads=a'], 'scope'],
    [['token', 'revoke', 'nonsense'], 'path.id'],
    [['audit', 'verify', '--head', 'nonsense'], '--head'],
  ])('%j names what is wrong', async (argv, path) => {
    const { code, out } = await run([...argv, '--json']);
    expect([code, JSON.parse(out).errors[0].path]).toEqual([2, path]);
  });
});

describe('the audit log', () => {
  test('is shown, exported, verified from the file and at the registry; a log that was cut or rewritten is found', async () => {
    expect((await run(['token', 'create', 'seen', '--role', 'viewer', '--reason', 'to be seen'])).code).toBe(0);
    const shown = await run(['audit', 'list']);
    expect(shown.out).toMatch(/boss +token\.created .*applied +to be seen/);
    expect(shown.out).toContain('für später');
    const first = await json(['audit', 'verify']);
    expect(first.since).toBeNull();
    const file = join(root, 'audit.ndjson');
    const saved = await json(['audit', 'export', file]);
    expect(saved.entries).toBe(saved.head.sequence);
    expect(readFileSync(file, 'utf8')).toBe((await run(['audit', 'export'])).out);
    const head = renderHead(saved.head);
    expect((await json(['audit', 'verify', file, '--head', head])).head).toEqual(saved.head);

    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const tampered = async (name: string, text: readonly string[]) => {
      const path = join(root, `${name}.ndjson`);
      writeFileSync(path, `${text.join('\n')}\n`);
      const { code, out } = await run(['audit', 'verify', path, '--head', head, '--json']);
      return `${code} ${JSON.parse(out).code} ${/audit log: (\w+)/.exec(JSON.parse(out).detail)?.[1]}`;
    };
    expect(await tampered('gap', lines.toSpliced(1, 1))).toBe('1 audit-broken gap');
    expect(await tampered('order', [lines[1]!, lines[0]!, ...lines.slice(2)])).toBe('1 audit-broken gap');
    expect(await tampered('edit', lines.with(0, lines[0]!.replace('"boss"', '"nobody"')))).toBe('1 audit-broken tampered');
    expect(await tampered('cut', lines.slice(0, -1))).toBe('1 audit-broken cut');
    expect(await tampered('twice', [...lines, lines.at(-1)!])).toBe('1 audit-broken fork');
    expect(await tampered('garbage', lines.with(1, '{'))).toBe('1 audit-broken tampered');

    const again = await json(['audit', 'verify']);
    expect(again.since).toEqual(first.head);
    const other = { ...first.head, hash: `sha256:${'0'.repeat(64)}` };
    expect((await run(['audit', 'verify', '--head', renderHead(other)])).code).toBe(1);
    expect((await run(['audit', 'verify', '--head', renderHead({ ...first.head, sequence: 10_000 })])).err).toContain('cut');
  });

  test('any change of any entry is found, wherever it is', async () => {
    let head: ChainHead | undefined;
    const good: AuditEntry[] = [];
    const append = (body: AuditBody) => {
      const entry = link(AUDIT_CHAIN, head, body);
      head = headOf(entry);
      good.push(entry);
      return entry.sequence;
    };
    const at = '2026-01-01T00:00:00.000Z';
    for (let i = 0; i < 6; i++) {
      const id = newId();
      const by = { name: 'ann', roles: ['operator'], via: 'token' };
      const base = {
        action: 'desired.changed' as never,
        subject: 'x',
        by,
        requestId: 'r',
        reason: 'why',
        bucket: 'B',
        key: `k${i}`,
      };
      const sequence = append({ phase: 'intent', id, at, ...base, revision: i, before: null, after: null, data: { n: i } });
      append({ phase: 'outcome', id, at, open: sequence, outcome: 'applied', revision: i + 1 });
    }
    const lines = good.map((entry) => JSON.stringify(entry));
    expect((await verifyAuditLog(lines, head)).entries).toBe(12);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(lines.length - 1),
        fc.nat(1_000),
        fc.constantFrom('0', 'a', ' ', '"', '}', '\u00e9'),
        fc.constantFrom('put', 'drop', 'cut', 'swap', 'twice'),
        async (line, place, character, how) => {
          const text = lines[line]!;
          const here = place % text.length;
          const touched =
            how === 'put'
              ? lines.with(line, text.slice(0, here) + character + text.slice(here + 1))
              : how === 'drop'
                ? lines.toSpliced(line, 1)
                : how === 'cut'
                  ? lines.slice(0, line)
                  : how === 'twice'
                    ? lines.toSpliced(line, 0, text)
                    : lines.with(line, lines[(line + 1) % lines.length]!);
          const same = JSON.stringify(touched.map((one) => safe(one))) === JSON.stringify(lines.map((one) => safe(one)));
          if (same) return;
          await expect(verifyAuditLog(touched, head)).rejects.toMatchObject({ code: 'audit-broken' });
        },
      ),
      { numRuns: 300 },
    );
  });

  test('heads are written and read alike', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), fc.stringMatching(/^[0-9a-f]{64}$/), (sequence, hex) => {
        const head = { sequence, hash: `sha256:${hex}` as never };
        expect(parseHead(renderHead(head))).toEqual(head);
      }),
    );
  });
});

const safe = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return line;
  }
};
