/**
 * Two ways to run a program, and no third.
 *
 * `capture` runs a step of the set-up: its output is kept and only shown when it fails, and it ends by a deadline.
 * `become` stands in for exec, which Node cannot do: the program has our terminal, gets our signals once each, and its end is ours.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { SetupError } from './progress.mjs';

const KILL_AFTER_MS = 5_000;

/** Children of `capture` that are alive: the set-up's own end takes them along. @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** Sends a signal to every step that is still running. @param {NodeJS.Signals} signal */
export function signalRunning(signal) {
  for (const child of running) child.kill(signal);
}

/**
 * Runs a program without a shell and without stdin, and collects what it prints.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, timeoutMs: number, onStart?: (pid: number) => void }} options
 * @returns {Promise<{ code: number, output: string }>} `code` is 127 when the program is not there and 124 when it ran out of time;
 *   `output` is stdout and stderr as they came
 */
export function capture(command, args, { cwd, env, timeoutMs, onStart }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let late = false;
    let killer;
    running.add(child);
    if (child.pid !== undefined) onStart?.(child.pid);
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGTERM');
      killer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    }, timeoutMs);
    const done = (code) => {
      clearTimeout(timer);
      clearTimeout(killer);
      running.delete(child);
      resolve({ code, output });
    };
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    child.on('error', (error) => done(/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT' ? 127 : 126));
    child.on('close', (code, signal) => {
      if (late) output += `\n${command} was stopped: it had not ended after ${timeoutMs / 1_000} s\n`;
      done(late ? 124 : (code ?? 128 + constants.signals[signal ?? 'SIGKILL']));
    });
  });
}

/**
 * As `capture`, and a failure is an error that carries the program's own words.
 * @param {string} what the step, for the error's first line
 * @param {string} command
 * @param {readonly string[]} args
 * @param {Parameters<typeof capture>[2] & { advice?: string }} options
 * @returns {Promise<string>} the output
 */
export async function must(what, command, args, options) {
  const { code, output } = await capture(command, args, options);
  if (code === 0) return output;
  const words = output.trim() || (code === 127 ? `${command} was not found` : 'it printed nothing');
  throw new SetupError(`${what} failed (exit code ${code}):\n${words}`, options.advice);
}

/**
 * Runs a program in our place: same terminal, same directory, signals passed on, and its exit code returned. A program that
 * dies of a signal takes us along by the same signal, so that our parent sees what it would have seen.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, cwd?: string }} [options]
 * @returns {Promise<number>} the exit code; rejects when the program cannot be started
 */
export function become(command, args, { env, cwd } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', env: env ?? process.env, cwd });
    /** @type {NodeJS.Signals[]} */
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2'];
    const pass = (/** @type {NodeJS.Signals} */ signal) => {
      if (!(fromKeyboard(signal) && inForeground())) child.kill(signal);
    };
    for (const signal of signals) process.on(signal, pass);
    const release = () => {
      for (const signal of signals) process.off(signal, pass);
    };
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('close', (code, signal) => {
      release();
      if (signal !== null) process.kill(process.pid, signal);
      resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']);
    });
  });
}

/** Signals that the terminal itself sends to every process in its foreground. @param {NodeJS.Signals} signal */
function fromKeyboard(signal) {
  return signal === 'SIGINT' || signal === 'SIGQUIT' || signal === 'SIGHUP';
}

/**
 * True when the terminal has already given a keyboard signal to the child as well; to pass it on would be to press Ctrl-C twice,
 * and the second one means "at once".
 */
function inForeground() {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return group === foreground;
  } catch {
    return process.stdin.isTTY === true;
  }
}
