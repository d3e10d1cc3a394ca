/**
 * The `alchemist` command. Home of `process` for the command line: standard streams, signals, the exit code.
 * The first Ctrl-C ends what runs in order, the second at once.
 */
import { text } from 'node:stream/consumers';
import type { Io } from './io.ts';
import { run } from './program.ts';

const interrupt = new AbortController();
process.on('SIGINT', () => {
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
});
process.on('SIGTERM', () => interrupt.abort());
// Whoever read our output (head, less) went away: nobody is left to write for.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
process.stderr.on('error', () => {});

const io: Io = {
  out: (line) => void process.stdout.write(line),
  err: (line) => void process.stderr.write(line),
  outIsTty: process.stdout.isTTY === true,
  errIsTty: process.stderr.isTTY === true,
  columns: process.stdout.columns ?? 100,
  stdin: () => text(process.stdin),
  signal: interrupt.signal,
  around: async () => (await import('../surroundings.ts')).surroundings(),
  env: process.env,
  cwd: process.cwd(),
  nodeVersion: process.versions.node,
};

process.exitCode = await run(process.argv.slice(2), io);
// A pending request or reconnect of an ended verb must not hold the shell; what was written is flushed first.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
