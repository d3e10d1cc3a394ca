/** `alchemist status`: instances, their health and their workloads at a glance. */
import type { Command } from 'commander';
import { instanceId } from '../flags.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';
import { nodeTable } from './nodes.ts';
import { workloadTable } from './workloads.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'status', {
    summary: 'instances, health and workloads at a glance',
    examples: ['status', 'status --instance cim-a'],
  }).option('-i, --instance <id>', 'this instance only', instanceId);
  commonFlags(command).action((flags: CommonFlags & { instance?: string }) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const report = await (await alchemist()).status(flags.instance);
      if (render.json) {
        render.answer(report, () => '');
        return undefined;
      }
      const conditions = report.nodes.flatMap(({ instance, status }) =>
        (status?.conditions ?? []).map(({ severity, title, detail }) =>
          render.paint(
            `${instance}: ${severity}: ${title}: ${detail}`,
            severity === 'error' ? 'bad' : severity === 'warning' ? 'warn' : 'dim',
          ),
        ),
      );
      const parts = [
        await nodeTable(render, report.nodes),
        conditions.join('\n'),
        await workloadTable(render, report.workloads),
      ];
      render.answer(report, () => parts.filter((part) => part !== '').join('\n\n'));
      return undefined;
    }),
  );
}
