/** `alchemist doctor`: each link of the chain, with evidence and what to do. */
import type { CheckResult } from '@cim/contracts';
import type { Command } from 'commander';
import { exits } from '../exit.ts';
import { instanceId } from '../flags.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

const paints = { pass: 'good', warn: 'warn', fail: 'bad' } as const;

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'doctor', {
    summary: 'check every link from here to the workloads',
    description: `Checks every link in order: profile, keys, registry, token, NATS, the hub's JetStream, each node, each workload. Says pass,
warn or fail with what was seen and what to do. Exits 1 when something failed.`,
    examples: ['doctor', 'doctor --instance cim-a'],
  }).option('-i, --instance <id>', 'of this instance only', instanceId);
  commonFlags(command).action((flags: CommonFlags & { instance?: string }) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const { diagnose } = await import('../../doctor.ts');
      const results: CheckResult[] = [];
      for await (const found of diagnose(await alchemist(), flags.instance)) {
        results.push(found);
        if (render.json) continue;
        const { check, result, evidence, fix } = found;
        const lines = [`${render.paint(result, paints[result])}  ${render.paint(check, 'strong')}: ${evidence}`];
        if (fix !== undefined && result !== 'pass') lines.push(`      ${render.paint('->', 'dim')} ${fix}`);
        render.item(found, () => lines.join('\n'));
      }
      const count = (kind: CheckResult['result']) => results.filter(({ result }) => result === kind).length;
      const ok = count('fail') === 0;
      render.answer({ ok, results }, () => `${count('pass')} passed, ${count('warn')} warned, ${count('fail')} failed`);
      return ok ? exits.ok : exits.failed;
    }),
  );
}
