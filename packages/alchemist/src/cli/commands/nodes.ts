/** `alchemist nodes`: which instances there are and how they are. */
import type { Command } from 'commander';
import type { NodeView } from '../../registry/answers.ts';
import { ago, bytes, type Cell, cell, type Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'nodes', { summary: 'list the instances', examples: ['nodes', 'nodes --json'] });
  commonFlags(command).action((flags: CommonFlags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const nodes = await (await alchemist()).nodes();
      const text = render.json ? '' : await nodeTable(render, nodes);
      render.answer({ nodes }, () => text);
      return undefined;
    }),
  );
}

export async function nodeTable(render: Render, nodes: readonly NodeView[]): Promise<string> {
  if (nodes.length === 0) return 'no instance has been heard of yet';
  const rows = nodes.map((node) => {
    const { instance, status, ageSeconds } = node;
    const machine =
      status === null ? '' : `${status.machine.cores} cores, ${bytes(status.machine.memoryBytes)}, ${status.machine.arch}`;
    const meant = status?.workloads.filter(({ state }) => state !== 'stopped') ?? [];
    const ready = meant.filter(({ state }) => state === 'ready').length;
    return [
      cell(instance, 'strong'),
      presence(node),
      typeof ageSeconds === 'number' ? ago(ageSeconds * 1_000) : '-',
      status === null ? '-' : `${ready}/${meant.length}`,
      status?.capabilities.join(' ') || '-',
      status?.location ?? '-',
      machine || '-',
    ];
  });
  return render.table(['instance', 'state', 'heard', 'ready', 'capabilities', 'location', 'machine'], rows);
}

function presence({ presence: seen, status }: NodeView): Cell {
  if (seen === 'unknown') return cell('unknown', 'warn');
  if (status === null) return cell('online', 'good');
  const health = status.health === 'healthy' ? 'good' : status.health === 'degraded' ? 'warn' : 'bad';
  return cell(status.phase === 'running' ? status.health : `${status.health}, ${status.phase}`, health);
}
