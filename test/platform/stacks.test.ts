/** An author's mistakes are told in the author's own lines: in the fault of a call, in lines of log, at load. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundle } from '@cim/alchemist';
import { readBundle } from '@cim/contracts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asVerified } from '../../packages/node-agent/src/bundle/verified.ts';
import { ask, doorOf, faultFrom, openOf, sandboxOf, soon } from '../../packages/node-agent/test/sandbox/fixture.ts';

const sandbox = sandboxOf();
const folder = mkdtempSync(join(tmpdir(), 'cim-stacks-'));
beforeAll(() => sandbox.start());
afterAll(async () => {
  await sandbox.stop(500);
  rmSync(folder, { recursive: true, force: true });
});

/** Line 3 of the author's own file throws, in a function the bundler renames. */
const PRICE = `export interface Line { readonly price: number }
export function priceOf(line: Line | undefined): number {
  if (line === undefined) throw new RangeError('no such line');
  return line.price;
}
`;
const MAIN = `import { defineAgent } from '@cim/alchemist/agent';
import { priceOf } from './price.ts';

export default defineAgent({
  version: '1.0.0',
  capabilities: {
    't.sync': { handle: () => priceOf(undefined) },
    't.later': {
      async handle(_: unknown, ctx) {
        await null;
        try {
          priceOf(undefined);
        } catch (error) {
          ctx.log.error('could not price', { error: error as never });
          console.error(error);
          setTimeout(() => priceOf(undefined), 5);
          throw error;
        }
      },
    },
  },
});
`;

async function opened(main: string) {
  writeFileSync(join(folder, 'package.json'), '{"name":"stacks","version":"1.0.0"}');
  writeFileSync(join(folder, 'price.ts'), PRICE);
  writeFileSync(join(folder, 'main.ts'), main);
  const { manifest, entry, sourceMap } = await readBundle([(await bundle(join(folder, 'main.ts'))).bytes]);
  const door = doorOf();
  const options = openOf({ source: 'return 1' }, { host: door.door });
  const isolate = await sandbox.open({ ...options, bundle: asVerified({ ...options.bundle, manifest, entry, sourceMap }) });
  return { isolate, logs: door.logs };
}

test('in the fault of a call, synchronous or not', async () => {
  const { isolate } = await opened(MAIN);
  for (const capability of ['t.sync', 't.later']) {
    const fault = await faultFrom(ask(isolate, null, { capability }));
    expect(fault.code).toBe('handler-failed');
    expect(fault.detail).toContain('no such line');
    expect(`${fault.detail}\n${fault.stack}\n${String((fault.cause as Error | undefined)?.stack ?? '')}`).toContain(
      'price.ts:3:33',
    );
    expect(fault.detail).not.toContain('entry.js:');
  }
  await isolate.close(100);
});

test('in lines of log: an error among the fields, one printed, one nobody caught', async () => {
  const { isolate, logs } = await opened(MAIN);
  await faultFrom(ask(isolate, null, { capability: 't.later' }));
  expect(await soon(() => logs.length === 4)).toBe(true);
  for (const line of logs) {
    expect(JSON.stringify(line)).toContain('price.ts:3:33');
    expect(JSON.stringify(line)).not.toContain('entry.js:');
  }
  const said = logs.map(({ message }) => message.split('\n')[0]!.replace(/: .*/, '')).sort();
  expect(said).toEqual(['RangeError', 'call failed', 'could not price', 'uncaught error in a timer']);
  await isolate.close(100);
});

test('at load, and without a word of the machine it runs on', async () => {
  const fault = await faultFrom(sandbox.open(openOf({ source: 'export default (() => { throw new Error("at load") })();' })));
  expect(fault.code).toBe('start-failed');
  expect(fault.detail).toContain('at load');
  expect(fault.detail).not.toMatch(/file:\/\/|node_modules|guest\.js/);
  const syntax = await faultFrom(sandbox.open(openOf({ source: 'export default {{{' })));
  expect(syntax.detail).not.toMatch(/file:\/\/|guest\.js/);
});
