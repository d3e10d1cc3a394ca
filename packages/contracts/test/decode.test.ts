import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { decode, decodeJson, Fault, NodeAgentConfig, NodeStatus } from '../src/index.ts';

const row = z.strictObject({
  name: z.string().min(2).max(4),
  list: z
    .array(z.strictObject({ n: z.number().int().min(1).max(9) }))
    .max(2)
    .optional(),
  by: z.record(z.string().regex(/^[a-z.]+$/, 'expected small letters'), z.strictObject({ on: z.boolean() })).optional(),
  kind: z.enum(['one', 'two']).optional(),
  api: z.literal(1).optional(),
  either: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).optional(),
  at: z.iso.datetime().optional(),
  raw: z.base64().optional(),
  password: z.string().max(3).optional(),
  form: z.string().regex(/^x+$/).optional(),
});

function refused(work: () => unknown): Fault {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Fault);
    return error as Fault;
  }
  throw new Error('was accepted');
}
const issues = (value: unknown) =>
  refused(() => decode(row, value, 'row')).issues.map(({ path, message }) => `${path}: ${message}`);

describe('decode', () => {
  it.each<[unknown, string]>([
    [{}, 'name: expected a string, found nothing'],
    [{ name: 7 }, 'name: expected a string, found 7'],
    [{ name: null }, 'name: expected a string, found null'],
    [{ name: 'x' }, 'name: expected at least 2 characters, found "x"'],
    [{ name: 'abcde' }, 'name: expected at most 4 characters, found "abcde"'],
    [{ name: 'ab', list: {} }, 'list: expected a list, found an object'],
    [{ name: 'ab', list: [{ n: 1 }, { n: 0 }] }, 'list[1].n: expected at least 1, found 0'],
    [{ name: 'ab', list: [{ n: 10 }] }, 'list[0].n: expected at most 9, found 10'],
    [{ name: 'ab', list: [{ n: 1.5 }] }, 'list[0].n: expected a whole number, found 1.5'],
    [{ name: 'ab', list: [{ n: '1' }] }, 'list[0].n: expected a number, found "1"'],
    [{ name: 'ab', list: [{ n: 1 }, { n: 1 }, { n: 1 }] }, 'list: expected at most 2 entries, found a list of 3'],
    [{ name: 'ab', list: [{ n: 1, m: 2 }] }, 'list[0].m: unknown key; remove it or check its spelling'],
    [{ name: 'ab', nmae: 1 }, 'nmae: unknown key; remove it or check its spelling'],
    [{ name: 'ab', by: { x: { on: 1 } } }, 'by.x.on: expected true or false, found 1'],
    [{ name: 'ab', by: { 'a.b': { on: 'yes' } } }, 'by["a.b"].on: expected true or false, found "yes"'],
    [{ name: 'ab', by: { X: { on: true } } }, 'by.X: the key is not allowed: expected small letters'],
    [{ name: 'ab', kind: 'three' }, 'kind: expected "one" or "two", found "three"'],
    [{ name: 'ab', api: 2 }, 'api: expected 1, found 2'],
    [{ name: 'ab', either: 5 }, 'either: expected a string or a list, found 5'],
    [{ name: 'ab', either: ['ok', ''] }, 'either[1]: expected at least 1 character, found ""'],
    [{ name: 'ab', at: 'noon' }, 'at: expected a time in UTC such as "2026-01-31T12:00:00Z", found "noon"'],
    [{ name: 'ab', form: 'y' }, 'form: expected text of the form /^x+$/, found "y"'],
    [{ name: 'ab', raw: '!' }, 'raw: expected base64 text, found "!"'],
    [{ name: 'ab', password: 'hunter2' }, 'password: expected at most 3 characters, found a text of 7 characters'],
    [null, '(whole): expected an object, found null'],
    [[], '(whole): expected an object, found a list of 0'],
    ['text', '(whole): expected an object, found "text"'],
    [undefined, '(whole): expected an object, found nothing'],
    [() => 1, '(whole): expected an object, found a function'],
  ])('%j -> %s', (value, expected) => {
    expect(issues(value)).toEqual([expected]);
  });

  it('names every wrong field, not the first one', () => {
    const value = { name: 5, list: [{ n: 'a' }, { n: 0 }], kind: 1, extra: 1, more: 2 };
    const paths = refused(() => decode(row, value, 'row')).issues.map(({ path }) => path);
    expect(paths.sort()).toEqual(['extra', 'kind', 'list[0].n', 'list[1].n', 'more', 'name']);
  });

  it('names the thing and the first five fields in the detail, and counts the rest', () => {
    const fault = refused(() => decode(row, { name: 'ab', a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 }, 'row'));
    expect(fault.code).toBe('invalid-input');
    expect(fault.detail).toMatch(/^row: a: unknown key.*; e: unknown key; remove it or check its spelling \(and 2 more\)$/);
    expect(fault.issues).toHaveLength(7);
  });

  it('stays small when the document is wrong in a hundred thousand places', () => {
    const value = { name: 'ab', ...Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])) };
    const fault = refused(() => decode(row, value, 'row'));
    expect(fault.issues).toHaveLength(101);
    expect(fault.issues.at(-1)).toEqual({ path: '(whole)', message: '99900 more fields are wrong' });
    expect(JSON.stringify(fault.toProblem()).length).toBeLessThan(20_000);
  });

  it('cuts long texts and long keys short', () => {
    const fault = refused(() => decode(row, { name: 'x'.repeat(1e6), ['y '.repeat(1e5)]: 1 }, 'row'));
    expect(fault.detail.length).toBeLessThan(500);
    expect(fault.issues[0]!.message).toMatch(/found "x{60}"… \(1000000 characters\)$/);
  });

  it('never shows what stands in a field that is a secret by its name', () => {
    const config = { instance: { id: 'a' }, nats: { url: 'x', passwordFile: 5, password: 'hunter2' }, token: 'hunter2' };
    const fault = refused(() => decode(NodeAgentConfig, config, 'configuration', 'configuration-invalid'));
    expect(fault.code).toBe('configuration-invalid');
    expect(JSON.stringify(fault.toProblem())).not.toContain('hunter2');
  });

  it('never shows a private key that was put where a public one belongs', () => {
    const seed = `SA${'B'.repeat(56)}`;
    const config = { instance: { id: 'a' }, nats: { url: 'x' }, trust: { publishers: [{ name: 'a', key: seed }] } };
    const fault = refused(() => decode(NodeAgentConfig, config, 'configuration'));
    expect(fault.detail).toContain('trust.publishers[0].key: expected a public nkey');
    expect(JSON.stringify(fault.toProblem())).not.toContain('BBBB');
  });

  it('a value that cannot be read is wrong input, not a crash', () => {
    const trap = {
      get name(): string {
        throw new Error('from the getter');
      },
    };
    expect(refused(() => decode(row, trap, 'row')).detail).toBe('row: cannot be read');
    const proxy = new Proxy(
      {},
      {
        ownKeys: () => {
          throw new Error('from the proxy');
        },
      },
    );
    expect(refused(() => decode(row, proxy, 'row')).code).toBe('invalid-input');
  });

  it('keeps what a newer sender adds where reading is loose', () => {
    expect(NodeStatus.safeParse({ api: 1 }).success).toBe(false);
    expect(decode(z.object({ a: z.number() }), { a: 1, b: 2 }, 'x')).toEqual({ a: 1 });
  });
});

describe('decodeJson', () => {
  it('takes text and bytes', () => {
    expect(decodeJson(row, '{"name":"ab"}', 'row')).toEqual({ name: 'ab' });
    expect(decodeJson(row, new TextEncoder().encode('{"name":"äö"}'), 'row')).toEqual({ name: 'äö' });
  });

  it.each<[string | Uint8Array, string]>([
    ['', 'text that is empty'],
    ['{', 'half an object'],
    ['nul', 'half a word'],
    ['{"name":"ab"} x', 'something behind the end'],
    ["{'name':'ab'}", 'the wrong quotes'],
    [new Uint8Array([0xff, 0xfe]), 'bytes that are no UTF-8'],
    [new Uint8Array([0x22, 0xc3, 0x28, 0x22]), 'a broken character in a string'],
  ])('%j is refused: %s', (text) => {
    const fault = refused(() => decodeJson(row, text, 'row', 'bundle-malformed'));
    expect(fault.code).toBe('bundle-malformed');
    expect(fault.detail).toMatch(/^row: not JSON \(/);
    expect(fault.issues[0]!.path).toBe('(whole)');
  });

  it('very deep nesting is refused and does not end the process', () => {
    const deep = '['.repeat(200_000) + ']'.repeat(200_000);
    expect(refused(() => decodeJson(row, deep, 'row')).code).toBe('invalid-input');
  });
});
