/** Runs code in an isolate of the real sandbox: each body in one of its own, all in one cell. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, type doorOf, openOf, sandboxOf } from '../../packages/node-agent/test/sandbox/fixture.ts';

const sandbox = sandboxOf();

/** To be called once in a test file. */
export function withSandbox(): void {
  beforeAll(async () => {
    await sandbox.start();
    // Keeps the shared cell alive between the tests.
    await sandbox.open(openOf({ source: 'return 1' }, { isolation: 'shared' }));
  });
  afterAll(() => sandbox.stop(500));
}

/**
 * What an async function with this body returns, through JSON. `input` is in its scope.
 * @param host the door of the replica; by default one that grants nothing
 */
export async function inside(body: string, input: unknown = null, host?: ReturnType<typeof doorOf>['door']): Promise<any> {
  const source = `return (async () => { ${body} })();`;
  const limits = { turnMs: 20_000, timeoutMs: 30_000 };
  const isolate = await sandbox.open(openOf({ source }, { isolation: 'shared', limits, ...(host ? { host } : {}) }));
  try {
    return await ask(isolate, input, { budgetMs: 25_000 });
  } finally {
    await isolate.close(100);
  }
}

/** A case: its name, the body of an async function, what it must return. */
export type Case = readonly [name: string, body: string, expected: unknown];

export const cases = (rows: readonly Case[]): void =>
  void test.each(rows)('%s', async (_, body, expected) => expect(await inside(body)).toEqual(expected));

/** In a body: the name of what `work` throws. */
export const NAME_OF = `const nameOf = async (work) => { try { await work(); return 'nothing thrown' } catch (e) { return e?.name ?? String(e) } };`;
export const HEX = `const hex = (b) => Array.from(new Uint8Array(b.buffer ?? b, b.byteOffset ?? 0, b.byteLength), (x) => x.toString(16).padStart(2, '0')).join('');
const unhex = (t) => Uint8Array.from(t.match(/../g) ?? [], (x) => parseInt(x, 16));`;
