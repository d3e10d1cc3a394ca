/** `alchemist call`: asks a capability and prints its answer. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { duration, instanceId } from '../flags.ts';
import type { Io } from '../io.ts';
import { seconds } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly instance?: string;
  readonly timeout?: string;
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'call <capability> [input]', {
    summary: 'call a capability and print its answer',
    description: `Calls a capability and prints its answer as JSON. The input is JSON, "@file" for a file of JSON, or "-" for standard
input; without one it is null. With --json the answer comes with who gave it.`,
    examples: [
      'call greeting.say \'{"name":"Ada"}\'',
      'call document.process @letter.json --instance cim-a --timeout 2m',
      'jq -n \'{name:"Ada"}\' | alchemist call greeting.say -',
    ],
  })
    .option('-i, --instance <id>', 'ask this instance and no other', instanceId)
    .option('--timeout <time>', 'how long to wait (default: 30s)', duration);
  commonFlags(command).action((capability: string, input: string | undefined, flags: Flags) =>
    perform(stage, flags, async ({ render, alchemist, io }) => {
      const value = await inputOf(io, input);
      let facts = { servedBy: undefined as string | undefined, callId: '', elapsedMs: 0 };
      const output = await (await alchemist()).call(capability, value, {
        ...(flags.instance === undefined ? {} : { instance: flags.instance }),
        ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
        onReply: (reply) => {
          facts = reply;
        },
      });
      render.answer({ output, ...facts }, () => JSON.stringify(output, null, 2));
      if (io.errIsTty) render.note(`${facts.servedBy ?? 'answered'} in ${seconds(facts.elapsedMs)}`);
      return undefined;
    }),
  );
}

/** @throws Fault `invalid-input` naming where the JSON came from */
async function inputOf(io: Io, given: string | undefined): Promise<unknown> {
  if (given === undefined) return null;
  const { Fault } = await import('@cim/contracts');
  const from = given === '-' ? 'standard input' : given.startsWith('@') ? given.slice(1) : 'input';
  let text = given;
  try {
    if (given === '-') text = await io.stdin();
    else if (given.startsWith('@')) text = await readFile(resolve(io.cwd, given.slice(1)), 'utf8');
  } catch (cause) {
    throw new Fault('invalid-input', `input: cannot read ${from}: ${(cause as Error).message}`, {
      cause,
      issues: [{ path: 'input', message: `cannot read ${from}` }],
    });
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message = `expected JSON in ${from}: ${(cause as Error).message}`;
    throw new Fault('invalid-input', `input: ${message}`, { cause, issues: [{ path: 'input', message }] });
  }
}
