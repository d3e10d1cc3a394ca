/** `alchemist undeploy`: ends a workload on an instance. */
import { type Command, Option } from 'commander';
import { drafting, draftText } from '../drafts.ts';
import { duration, instanceId } from '../flags.ts';
import { seconds } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly instance: string;
  readonly kind?: 'agent' | 'service';
  readonly reason?: string;
  readonly wait: boolean;
  readonly timeout?: string;
  readonly out?: string;
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'undeploy <name>', {
    summary: 'end a workload on an instance',
    description: 'Ends a workload on an instance. Calls in flight may end first; what it kept in its key-value bucket stays.',
    examples: ['undeploy hello --instance cim-a'],
  })
    .requiredOption('-i, --instance <id>', 'where it runs', instanceId)
    .addOption(new Option('--kind <kind>', 'where an agent and a service share the name').choices(['agent', 'service']))
    .option('--reason <text>', 'why, for those who read the events later')
    .option('--wait', 'wait until it is gone (default)', true)
    .option('--no-wait', 'do not wait for the node')
    .option('--timeout <time>', 'longest wait (default: 60s)', duration)
    .option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile')
    .option('--out <file>', 'write the signed document for other operators to sign, instead of removing');
  commonFlags(command).action((name: string, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { render, alchemist, io } = session;
      const { instance, kind, reason, wait, timeout, out } = flags;
      const draft = await drafting(session, out);
      const result = await (await alchemist()).undeploy({
        name,
        instance,
        wait,
        signal: io.signal,
        onStep: render.step,
        ...(draft === undefined ? {} : { draft }),
        ...(kind === undefined ? {} : { kind }),
        ...(reason === undefined ? {} : { reason }),
        ...(timeout === undefined ? {} : { timeout }),
      });
      render.answer(result, () => {
        if (out !== undefined) return draftText(out);
        const word = !result.changed ? 'was removed already' : wait ? 'removed' : 'stored';
        return `${render.paint(word, 'good')} ${result.name} on ${instance}${wait && result.changed ? ` in ${seconds(result.elapsedMs)}` : ''}`;
      });
      return undefined;
    }),
  );
}
