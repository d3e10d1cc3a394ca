/**
 * Guests of the peers: each runs the same handler (parse JSON, add a field, write JSON) behind what that peer calls isolation, asked with a
 * string and answering with one. None has limits on; ours has.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';

export const kinds = ['worker_threads', 'child_process', 'quickjs', 'deno', 'workerd'] as const;
export type Kind = (typeof kinds)[number];

export interface Guest {
  /** The answer to a text. */
  call(text: string): Promise<string> | string;
  /** Processes it lives in beside the host's own. */
  readonly pids: readonly number[];
  close(): Promise<void>;
}

/** What every guest does. */
const HANDLE = '(text) => JSON.stringify({ ...JSON.parse(text), seen: true })';
const beside = (path: string) => fileURLToPath(new URL(`./node_modules/${path}`, import.meta.url));
const WORKERD = beside('@cloudflare/workerd-linux-64/bin/workerd');
const DENO = beside('@deno/linux-x64-glibc/deno');

/** Why a kind cannot be measured here; undefined where it can. */
export function missing(kind: Kind): string | undefined {
  if (kind === 'workerd' && !existsSync(WORKERD)) return 'no workerd for this system';
  if (kind === 'deno' && !existsSync(DENO)) return 'no deno for this system';
  return undefined;
}

export function openGuest(kind: Kind): Promise<Guest> {
  const openers = { worker_threads, child_process, quickjs, deno, workerd };
  return openers[kind]();
}

/** Answers come in the order of the questions. */
function inOrder() {
  const waiting: ((text: string) => void)[] = [];
  return {
    wait: () => new Promise<string>((resolve) => void waiting.push(resolve)),
    answer: (text: string) => waiting.shift()?.(text),
  };
}

async function worker_threads(): Promise<Guest> {
  const source = `const { parentPort } = require('node:worker_threads'); const handle = ${HANDLE};
    parentPort.on('message', (text) => parentPort.postMessage(handle(text)));`;
  const worker = new Worker(source, { eval: true, env: {} });
  const { wait, answer } = inOrder();
  worker.on('message', answer);
  return {
    call(text) {
      worker.postMessage(text);
      return wait();
    },
    pids: [],
    close: async () => void (await worker.terminate()),
  };
}

async function child_process(): Promise<Guest> {
  const child = fork(fileURLToPath(new URL('./child.mjs', import.meta.url)), { env: {}, execArgv: [] });
  const { wait, answer } = inOrder();
  child.on('message', (text) => answer(text as string));
  return {
    call(text) {
      child.send(text);
      return wait();
    },
    pids: [child.pid!],
    close: () => ended(child),
  };
}

/** As much of quickjs-emscripten as is used: it is installed beside this file on demand, so its types are not always there. */
interface QuickJs {
  newContext(): {
    readonly runtime: { setMemoryLimit(bytes: number): void };
    readonly undefined: QuickJsHandle;
    evalCode(code: string): unknown;
    unwrapResult(result: unknown): QuickJsHandle;
    newString(text: string): QuickJsHandle;
    callFunction(f: QuickJsHandle, self: QuickJsHandle, ...args: QuickJsHandle[]): unknown;
    getString(handle: QuickJsHandle): string;
    dispose(): void;
  };
}
interface QuickJsHandle {
  dispose(): void;
}

async function quickjs(): Promise<Guest> {
  const peer: string = 'quickjs-emscripten';
  const { getQuickJS } = (await import(peer)) as { getQuickJS(): Promise<QuickJs> };
  const engine = await getQuickJS();
  const vm = engine.newContext();
  vm.runtime.setMemoryLimit(32 * 2 ** 20);
  const handle = vm.unwrapResult(vm.evalCode(HANDLE));
  return {
    call(text) {
      const argument = vm.newString(text);
      const result = vm.unwrapResult(vm.callFunction(handle, vm.undefined, argument));
      const answer = vm.getString(result);
      argument.dispose();
      result.dispose();
      return answer;
    },
    pids: [],
    async close() {
      handle.dispose();
      vm.dispose();
    },
  };
}

/** Without permissions: no file, no network, no environment. Lines of JSON through its standard streams. */
async function deno(): Promise<Guest> {
  const source = `const handle = ${HANDLE}; const encoder = new TextEncoder();
    const lines = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
    let rest = '';
    for await (const chunk of lines) {
      const parts = (rest + chunk).split('\\n'); rest = parts.pop();
      if (parts.length > 0) {
        const bytes = encoder.encode(parts.map((text) => handle(text) + '\\n').join(''));
        for (let at = 0; at < bytes.length; ) at += Deno.stdout.writeSync(bytes.subarray(at));
      }
    }`;
  const folder = mkdtempSync(join(tmpdir(), 'cim-peer-'));
  const file = join(folder, 'guest.js');
  writeFileSync(file, source);
  const child = spawn(DENO, ['run', '--no-prompt', '--no-config', '--no-npm', '--cached-only', file], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { DENO_DIR: folder, DENO_NO_UPDATE_CHECK: '1' },
  });
  const { wait, answer } = inOrder();
  let rest = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop()!;
    for (const part of parts) answer(part);
  });
  let batch = '';
  return {
    call(text) {
      // One write for what came in one turn, as for ours.
      if (batch === '')
        queueMicrotask(() => {
          child.stdin.write(batch);
          batch = '';
        });
      batch += `${text}\n`;
      return wait();
    },
    pids: [child.pid!],
    async close() {
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** workerd speaks HTTP; here over a unix socket with kept connections. */
async function workerd(): Promise<Guest> {
  const folder = mkdtempSync(join(tmpdir(), 'cim-peer-'));
  const socketPath = join(folder, 'http.sock');
  writeFileSync(
    join(folder, 'worker.js'),
    `const handle = ${HANDLE}; export default { async fetch(request) { return new Response(handle(await request.text())); } };`,
  );
  writeFileSync(
    join(folder, 'config.capnp'),
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (services = [(name = "main", worker = .guest)],
  sockets = [(name = "http", address = "unix:${socketPath}", http = (), service = "main")]);
const guest :Workerd.Worker = (modules = [(name = "worker", esModule = embed "worker.js")], compatibilityDate = "2025-01-01");
`,
  );
  const child = spawn(WORKERD, ['serve', join(folder, 'config.capnp')], { stdio: ['ignore', 'inherit', 'inherit'], env: {} });
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const call = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath, agent, method: 'POST', path: '/' }, (reply) => {
        let whole = '';
        reply.setEncoding('utf8');
        reply.on('data', (chunk: string) => {
          whole += chunk;
        });
        reply.on('end', () => resolve(whole));
      });
      sent.on('error', reject);
      sent.end(text);
    });
  // It is there when it answers: the socket's file comes a little earlier.
  const end = performance.now() + 10_000;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`workerd ended with code ${child.exitCode}`);
    if (performance.now() > end) throw new Error('workerd did not answer within 10 s');
    try {
      await call('{}');
      break;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  return {
    call,
    pids: [child.pid!],
    async close() {
      agent.destroy();
      await ended(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}
