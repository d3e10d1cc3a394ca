/**
 * One of our daemons as a real process: its configuration file, its ready line, its log.
 *
 * Promises:
 * D1. `start` returns when the daemon has said it is ready, or throws why not with the last lines of its log; it never waits past the
 *     deadline.
 * D2. A daemon whose port someone else took between choosing and binding is given another one.
 * D3. `restart` and `start` after `kill` bring it back on the same port with the same configuration.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Fault, systemClock, withDeadline } from '@cim/contracts';
import { z } from 'zod';
import { type Child, type ChildEnd, endText, startChild, tailOf } from './machine/child.ts';
import { nodePath } from './machine/surroundings.ts';

const ReadyLine = z.looseObject({ ready: z.literal(true), url: z.url(), pid: z.number() });

export interface DaemonOptions {
  readonly name: string;
  /** The package whose `main.js` is run. */
  readonly package: keyof typeof indexes;
  readonly directory: string;
  readonly logFile: string;
  readonly ledgerFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Longest wait for the ready line, ms. */
  readonly deadlineMs?: number;
  /** Writes the configuration and returns its path; `again` when the port that was chosen is in use. */
  readonly configure: (again: boolean) => Promise<string>;
}

export interface Daemon extends AsyncDisposable {
  readonly name: string;
  /** Of the process that runs now, or of the last one. */
  readonly pid: number;
  /** Address of its HTTP side. */
  readonly url: string;
  readonly configFile: string;
  readonly logFile: string;
  /** Milliseconds from the spawn to the ready line. */
  readonly startMs: number;
  alive(): boolean;
  /** The end of the process that runs now. */
  ended(): Promise<ChildEnd>;
  /** SIGTERM, then SIGKILL at the deadline (default 25 s: a drain takes its time). */
  stop(deadlineMs?: number): Promise<void>;
  /** Ends it with a signal (default SIGKILL) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again after `stop` or `kill`. */
  start(): Promise<void>;
  restart(): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
}

const TRIES = 3;
const STOP_MS = 25_000;

/** @throws Fault `start-failed` with the reason and the end of the log */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { name, logFile, deadlineMs = 30_000 } = options;
  const { main, flags } = programOf(options.package);
  let child: Child;
  let url = '';
  let configFile = '';
  let startMs = 0;

  const launch = async () => {
    const begun = systemClock.monotonic();
    child = await startChild({
      name,
      command: nodePath(),
      args: ['--enable-source-maps', ...flags, main, '--config', configFile],
      cwd: options.directory,
      logFile,
      stdout: true,
      ledgerFile: options.ledgerFile,
      ...(options.env === undefined ? {} : { env: options.env }),
    });
    try {
      url = await readyUrl(child, deadlineMs);
    } catch (error) {
      child.kill('SIGKILL');
      await child.ended;
      throw error;
    }
    startMs = systemClock.monotonic() - begun;
  };

  for (let attempt = 1; ; attempt++) {
    configFile = await options.configure(attempt > 1);
    try {
      await launch();
      break;
    } catch (error) {
      if (attempt === TRIES || !/EADDRINUSE|address already in use/.test(tailOf(logFile, 20))) throw error;
    }
  }

  const stop = async (deadline = STOP_MS) => void (await child.stop(deadline));
  const start = async () => {
    if (child.end()) await launch();
  };
  return {
    name,
    get pid() {
      return child.pid;
    },
    get url() {
      return url;
    },
    get configFile() {
      return configFile;
    },
    logFile,
    get startMs() {
      return startMs;
    },
    alive: () => child.end() === undefined,
    ended: () => child.ended,
    stop,
    async kill(signal = 'SIGKILL') {
      child.kill(signal);
      await child.ended;
    },
    start,
    async restart() {
      await stop();
      await start();
    },
    pause: () => child.pause(),
    resume: () => child.resume(),
    [Symbol.asyncDispose]: stop,
  };
}

const require = createRequire(import.meta.url);
const indexes = {
  '@cim/registry': () => require.resolve('@cim/registry'),
  '@cim/node-agent': () => require.resolve('@cim/node-agent'),
};

/** What its package says of how Node is to run it: nix/packages/cim.nix reads the same. */
const Package = z.object({ config: z.object({ node: z.string() }).optional() });

function programOf(name: keyof typeof indexes): { readonly main: string; readonly flags: readonly string[] } {
  const unbuilt = (cause?: unknown) =>
    new Fault('configuration-invalid', `${name} is not built: run npm run build in the checkout`, { cause });
  let index: string;
  try {
    index = indexes[name]();
  } catch (cause) {
    throw unbuilt(cause);
  }
  const main = join(dirname(index), 'main.js');
  if (!existsSync(main)) throw unbuilt();
  const { config } = Package.parse(JSON.parse(readFileSync(join(dirname(main), '../package.json'), 'utf8')));
  return { main, flags: config?.node.split(' ') ?? [] };
}

async function readyUrl(child: Child, deadlineMs: number): Promise<string> {
  const fail = (why: string): Fault => {
    const tail = tailOf(child.logFile);
    return new Fault('start-failed', `${child.name} ${why}; its log ${child.logFile} ends with:\n${tail || '(nothing)'}`);
  };
  const lines = createInterface({ input: child.stdout! });
  const first = new Promise<string>((resolve) => lines.once('line', resolve));
  const ended = child.ended.then((end) => Promise.reject(fail(`ended before it was ready (${endText(end)})`)));
  ended.catch(() => {});
  let line: string;
  try {
    line = await withDeadline(systemClock, deadlineMs, 'ready line', () => Promise.race([first, ended]));
  } catch (error) {
    throw error instanceof Fault ? error : fail(`did not say that it is ready within ${deadlineMs} ms`);
  }
  const said = ReadyLine.safeParse(asJson(line));
  if (!said.success) throw fail(`said ${JSON.stringify(line.slice(0, 200))} where its ready line was expected`);
  return said.data.url;
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
