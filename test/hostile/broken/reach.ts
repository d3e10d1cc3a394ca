/** Starts the broken-out cell in a cell's own surroundings and has it try things, over the wire it was given. */
import { readdirSync, realpathSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { type LayerState, systemClock } from '@cim/contracts';
import { begin } from '../../../packages/node-agent/src/sandbox/cell/begin.ts';
import { createLauncher } from '../../../packages/node-agent/src/sandbox/cell/launch.ts';
import { FrameReader, textFrame } from '../../../packages/node-agent/src/sandbox/frames.ts';
import { findHardening, PROBED } from '../../../packages/node-agent/src/sandbox/hardening.ts';

/** What came of an attempt. */
export interface Outcome {
  readonly got?: unknown;
  /** The code it was refused with. */
  readonly refused?: string;
}
export type Attempt = readonly [deed: string, ...args: (string | number)[]];

export interface Surroundings {
  readonly layers: readonly LayerState[];
  /** Starts a cell; what it tries is answered one by one, in order. */
  start(): BrokenCell;
}
export interface BrokenCell extends Disposable {
  attempt(attempts: readonly Attempt[]): Promise<Outcome[]>;
}

/**
 * @param native true to leave Node's permission model out: what code can do that has gone below Node. The rest is as for every cell.
 */
export function surroundings(entry: string, isolation: 'auto' | 'off', native: boolean): Surroundings {
  const path = process.env['PATH'] ?? '';
  if (!native) {
    const launcher = createLauncher({ clock: systemClock, entry, isolation, path });
    const start = () => {
      const begun = launcher.launch(false);
      const started = new Promise<void>((resolve) => begun.onStarted(() => resolve()));
      return cellOf({ ...begun, started, kill: () => begun.signal('SIGKILL') });
    };
    return { layers: launcher.layers, start };
  }
  const node = realpathSync(process.execPath);
  const readable = [dirname(dirname(entry))];
  const probe = `console.log('${PROBED}')`;
  const hardening = findHardening({ isolation, path, node, flags: ['--no-warnings'], readable, probe }, systemClock);
  const layers = hardening.layers.filter(({ layer }) => layer !== 'permission-model');
  const start = () => {
    const child = begin(hardening.recipe([entry]), ['pipe', 'pipe']);
    return cellOf({
      socket: child.stdio[3] as Socket,
      words: child.stderr!,
      started: Promise.resolve(),
      onGone: (listener) => void child.on('exit', () => listener('')),
      kill: () => void child.kill('SIGKILL'),
    });
  };
  return { layers, start };
}

const ENTER = 2;
const OUT = 3;
const LARGEST = 2 ** 22;

interface Process {
  readonly socket: Socket;
  readonly words: Readable;
  readonly started: Promise<void>;
  onGone(listener: (problem: string) => void): void;
  kill(): void;
}

function cellOf({ socket, words, started, onGone, kill }: Process): BrokenCell {
  let said = '';
  words.on('data', (chunk: Buffer) => {
    said += chunk.toString('utf8');
  });
  const waiting: PromiseWithResolvers<Outcome[]>[] = [];
  const reader = new FrameReader(LARGEST);
  socket.on('data', (chunk: Buffer) =>
    reader.push(chunk, ({ kind, mark, payload }) => {
      if (kind === OUT) waiting.shift()?.resolve(JSON.parse(payload.toString('utf8').slice(mark)) as Outcome[]);
    }),
  );
  const ended = () => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`the cell ended: ${said.slice(0, 500)}`));
  };
  socket.on('error', () => {});
  onGone(ended);
  return {
    attempt(attempts) {
      const answer = Promise.withResolvers<Outcome[]>();
      waiting.push(answer);
      const head = '0,1,0,0';
      void started.then(() => socket.write(textFrame(ENTER, 1, head.length, head + JSON.stringify(attempts))));
      return answer.promise;
    },
    [Symbol.dispose]: kill,
  };
}

/** The addon every cell loads, as a file. */
export function addonFile(): string {
  const folder = fileURLToPath(new URL('../../../node_modules/isolated-vm/prebuilds', import.meta.url));
  const found = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(
    (file) => file.startsWith(`linux-${process.arch}`) && file.endsWith(`.abi${process.versions.modules}.glibc.node`),
  );
  if (found === undefined) throw new Error(`no addon under ${folder}`);
  return join(folder, found);
}
