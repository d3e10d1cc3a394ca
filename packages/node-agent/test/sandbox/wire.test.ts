/** The socket between daemon and cell: any cut of the bytes, any message, and cells that lie. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '@cim/contracts';
import { build } from 'esbuild';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLauncher } from '../../src/sandbox/cell/launch.ts';
import { type Frame, FrameReader, frame, MalformedFrame, textFrame } from '../../src/sandbox/frames.ts';
import { decodeFromCell } from '../../src/sandbox/from-cell.ts';
import {
  type Body,
  decodeToCell,
  encodeFromCell,
  encodeToCell,
  type FromCell,
  type ToCell,
} from '../../src/sandbox/protocol.ts';
import { readRecords } from '../../src/sandbox/records.ts';
import { alive, ask, faultFrom, openOf, sandboxOf, soon } from './fixture.ts';

const read = (bytes: Buffer): Frame => {
  const frames: Frame[] = [];
  new FrameReader(2 ** 24).push(bytes, (one) => frames.push(one));
  expect(frames).toHaveLength(1);
  return frames[0]!;
};

/** What a reader hands out whose chunks all come in the same memory, as the daemon's and the cell's do. */
function throughOneBuffer(bytes: Buffer, cuts: readonly number[]): unknown[] {
  const inbox = Buffer.alloc(Math.max(...cuts));
  const reader = new FrameReader(2 ** 24);
  const seen: (() => unknown)[] = [];
  for (let at = 0, i = 0; at < bytes.length; i += 1) {
    const read = bytes.copy(inbox, 0, at, at + cuts[i % cuts.length]!);
    reader.push(inbox.subarray(0, read), ({ payload, owned, ...rest }) => {
      const now = payload.toString('utf8');
      // What is its own can be read when all else has come and gone.
      seen.push(() => ({ ...rest, text: owned ? payload.toString('utf8') : now }));
    });
    inbox.fill(0xff);
    at += read;
  }
  return seen.map((each) => each());
}

describe('frames', () => {
  test('come out as they went in, however the bytes are cut', () => {
    const one = fc.record({
      kind: fc.nat(255),
      isolate: fc.nat(2 ** 32 - 1),
      mark: fc.nat(2 ** 32 - 1),
      text: fc.string({ unit: 'grapheme', maxLength: 200 }),
    });
    fc.assert(
      fc.property(
        fc.array(one, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
        (all, cuts) => {
          const bytes = Buffer.concat(all.map(({ kind, isolate, mark, text }) => textFrame(kind, isolate, mark, text)));
          expect(throughOneBuffer(bytes, cuts)).toEqual(all);
        },
      ),
    );
  });

  test('large ones too, in as many reads as they take', () => {
    const text = Array.from({ length: 60_000 }, (_, i) => `${i},`).join('');
    const all = [1, 2].map((mark) => ({ kind: 3, isolate: 7, mark, text: `${mark}${text}` }));
    const bytes = Buffer.concat(all.map(({ kind, isolate, mark, text }) => textFrame(kind, isolate, mark, text)));
    for (const cut of [65_536, 9_973]) expect(throughOneBuffer(bytes, [cut])).toEqual(all);
  });

  test('a length above the limit is refused at the header', () => {
    const bytes = frame(1, 1, 1, 101);
    expect(() => new FrameReader(100).push(bytes.subarray(0, 13), () => {})).toThrow(MalformedFrame);
  });
});

describe('messages', () => {
  test('encode and decode are inverse', () => {
    const opening = {
      workload: { kind: 'agent', name: 'a', version: '1.0.0', instance: 'i', replica: 0 },
      config: { ü: 1 },
      capabilities: [],
      subscribe: [],
      schedule: [],
    };
    const more = { hooks: { start: false, stop: false, health: false }, memoryMb: 64, turnMs: 1, maxReply: 1 };
    const toCell: ToCell[] = [
      {
        kind: 'open',
        isolate: 7,
        opening: { ...opening, ...more } as never,
        entry: 'export default "ü"',
        sourceMap: '{"ä":1}',
      },
      { kind: 'enter', isolate: 7, head: '0,1', body: 'büdy 😀' },
      { kind: 'dispose', isolate: 7 },
      { kind: 'ping', nonce: 9 },
      { kind: 'measure' },
    ];
    for (const message of toCell) expect(decodeToCell(read(encodeToCell(message)))).toEqual(message);
    const fromCell: FromCell[] = [
      { kind: 'hello', protocol: 1 },
      { kind: 'opened', isolate: 7, fault: undefined },
      { kind: 'opened', isolate: 7, fault: { code: 'start-failed', detail: 'ü', issues: [] } },
      { kind: 'out', isolate: 7, head: '0,1,3', body: 'ü😀' },
      { kind: 'gone', isolate: 7, reason: 'out-of-time', detail: 'x' },
      { kind: 'pong', nonce: 9 },
      { kind: 'measured', rows: [[1, 2, 3, 4]] },
    ];
    for (const message of fromCell) expect(decodeFromCell(read(encodeFromCell(message)))).toEqual(message);
  });

  test('a large plain answer stays bytes, of its own, and reads as the text it is', () => {
    const said = (body: Body, head: string) => {
      const answers: Body[] = [];
      const ignored = { fault() {}, ask() {}, log() {}, metric() {}, wake() {}, limit() {} };
      readRecords(head, body, { ...ignored, answer: (_, text) => answers.push(text) });
      return answers;
    };
    const long = 'x'.repeat(20_000);
    const answers = [`"${long}"`, '1', `"${long.slice(7)}"`];
    const head = answers.flatMap((text, slot) => [0, slot + 1, text.length]).join(',');
    for (const [sent, kind] of [
      [answers, 'object'],
      [[`"${long.slice(1)}ü"`, ...answers.slice(1)], 'string'],
    ] as const) {
      const bytes = encodeFromCell({ kind: 'out', isolate: 7, head, body: sent.join('') });
      for (const owned of [true, false]) {
        const message = decodeFromCell({ ...read(bytes), owned });
        if (!owned) bytes.fill(0);
        if (message.kind !== 'out') throw new Error('not what was sent');
        expect(typeof message.body).toBe(kind);
        expect(said(message.body, message.head).map(String)).toEqual(sent);
        expect(() => said(message.body, `${message.head},0,9,1`)).toThrow(MalformedFrame);
      }
    }
  });

  test('no frame of a cell makes its reader throw anything but MalformedFrame', () => {
    const payload = fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.constantFrom('x', 'ü').map((one) => Buffer.from(one.repeat(20_000))),
    );
    const frames = fc.record({
      kind: fc.nat(9),
      isolate: fc.nat(3),
      mark: fc.oneof(fc.nat(9), fc.nat(2 ** 32 - 1)),
      payload,
      owned: fc.boolean(),
    });
    fc.assert(
      fc.property(frames, (one) => {
        try {
          decodeFromCell(one);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedFrame);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  test('no bytes make the reader of records throw anything but MalformedFrame, or hand over what does not fit', () => {
    const nothing = { answer() {}, fault() {}, ask() {}, log() {}, metric() {}, wake() {}, limit() {} };
    const number = fc.oneof(fc.integer(), fc.double(), fc.nat(6));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(number).map((all) => all.join(',')),
          fc.string(),
        ),
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (head, body) => {
          try {
            readRecords(head, body, nothing);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedFrame);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe('a cell that lies', () => {
  let folder: string;
  let cellEntry: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cim-cell-'));
    cellEntry = join(folder, 'cell', 'cell-main.mjs');
    const source = fileURLToPath(new URL('./hostile-cell.ts', import.meta.url));
    await build({ entryPoints: [source], outfile: cellEntry, format: 'esm', platform: 'node', bundle: true });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is killed for every lie, its isolate has an exit, and the sandbox goes on', async () => {
    const deeds = [
      ...execFileSync(
        process.execPath,
        ['-e', `console.log(require('fs').readFileSync(${JSON.stringify(cellEntry)}, 'utf8'))`],
        { encoding: 'utf8' },
      ).matchAll(/^ {2}(?:"([^"]+)"): \(\) =>/gm),
    ].map(([, name]) => name!);
    expect(deeds.length).toBeGreaterThan(30);
    const sandbox = sandboxOf({ spareCells: 2 }, { cellEntry });
    await sandbox.start();
    for (const deed of deeds) {
      const isolate = await sandbox.open(openOf({ source: 'return 1' }));
      const call = faultFrom(ask(isolate, deed, { budgetMs: 3_000 }));
      const exit = await Promise.race([
        isolate.exited,
        call.then((fault) => ({ kind: `call ended first: ${fault.code} ${fault.detail}` })),
      ]);
      expect([deed, exit.kind]).toEqual([deed, 'cell-died']);
      expect((await call).code).toBe('cell-died');
      expect(await soon(() => !alive(isolate.cellPid))).toBe(true);
    }
    await sandbox.stop(500);
  });
});

describe('the daemon dies', () => {
  test('no cell outlives it, not even one whose thread is held, where the kernel tells it', async () => {
    // Without setpriv a held thread ends with its turn only: then an idle cell must do.
    const held = createLauncher({ clock: systemClock, isolation: 'auto' }).layers.some(
      ({ layer, active }) => layer === 'parent-death' && active,
    );
    const source = held ? 'Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)' : 'return 1';
    const fixture = new URL('./fixture.ts', import.meta.url).href;
    const folder = mkdtempSync(join(tmpdir(), 'cim-daemon-'));
    const file = join(folder, 'daemon.mjs');
    // Loaded through the built package, as in the product.
    const pool = new URL('../../dist/sandbox/pool.js', import.meta.url).href;
    writeFileSync(
      file,
      `import { createSandbox } from ${JSON.stringify(pool)};
       import { configOf, openOf } from ${JSON.stringify(fixture)};
       import { silentLogger, systemClock } from '@cim/contracts';
       const sandbox = createSandbox({ clock: systemClock, log: silentLogger, config: configOf({ spareCells: 2 }) });
       await sandbox.start();
       const limits = { turnMs: 60_000, timeoutMs: 60_000 };
       const stuck = await sandbox.open(openOf({ source: ${JSON.stringify(source)} }, { limits }));
       stuck.call({ callId: 'c', capability: 't.do', input: '1', budgetMs: 60_000, correlationId: 'k' }).catch(() => {});
       setTimeout(() => console.log(JSON.stringify(sandbox.cells().map(({ pid }) => pid))), 300);
       setInterval(() => {}, 1000);`.replace(`'@cim/contracts'`, JSON.stringify(import.meta.resolve('@cim/contracts'))),
    );
    const daemon = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    daemon.stdout.on('data', (chunk) => {
      text += chunk;
    });
    expect(await soon(() => text.includes(']'), 15_000)).toBe(true);
    const cells = JSON.parse(text) as number[];
    expect(cells.length).toBeGreaterThanOrEqual(2);
    expect(cells.every(alive)).toBe(true);
    daemon.kill('SIGKILL');
    expect(await soon(() => !cells.some(alive), 5_000)).toBe(true);
    rmSync(folder, { recursive: true, force: true });
  });
});
