/** `alchemist workloads`: what should run where, and what does. */
import type { Command } from 'commander';
import type { WorkloadView } from '../../registry/answers.ts';
import { instanceId } from '../flags.ts';
import { type Cell, cell, type Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'workloads', {
    summary: 'list what should run and what does',
    examples: ['workloads', 'workloads --instance cim-a --json'],
  }).option('-i, --instance <id>', 'of this instance only', instanceId);
  commonFlags(command).action((flags: CommonFlags & { instance?: string }) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const workloads = await (await alchemist()).workloads(flags.instance);
      const text = render.json ? '' : await workloadTable(render, workloads);
      render.answer({ workloads }, () => text);
      return undefined;
    }),
  );
}

export async function workloadTable(render: Render, workloads: readonly WorkloadView[]): Promise<string> {
  if (workloads.length === 0) return 'nothing is deployed yet: alchemist deploy <name> --instance <id>';
  const rows = workloads.map((view) => {
    const { instance, kind, name, desired, observed } = view;
    const calls = observed
      ? `${observed.calls.total}${observed.calls.failed > 0 ? ` (${observed.calls.failed} failed)` : ''}`
      : '-';
    return [
      instance,
      kind,
      cell(name, 'strong'),
      desired?.state === 'removed' ? 'removed' : (desired?.version ?? '-'),
      stateOf(view),
      observed ? `${observed.replicas.ready}/${observed.replicas.desired}` : '-',
      observed ? `${observed.restarts}` : '-',
      calls,
      observed?.capabilities.join(' ') || '-',
    ];
  });
  const head = ['instance', 'kind', 'name', 'desired', 'state', 'ready', 'restarts', 'calls', 'capabilities'];
  const reasons = workloads.flatMap(reasonOf);
  return [await render.table(head, rows), ...reasons.map((line) => render.paint(line, 'warn'))].join('\n');
}

function stateOf({ desired, observed, presence, converged }: WorkloadView): Cell {
  if (presence === 'unknown') return cell(observed ? `unknown (was ${observed.state})` : 'unknown', 'warn');
  if (!observed) return desired?.state === 'removed' ? cell('gone', 'dim') : cell('not seen yet', 'warn');
  const next = observed.next ? ` -> ${observed.next.version} ${observed.next.state}` : '';
  const running = observed.version !== undefined && observed.version !== desired?.version ? ` (${observed.version})` : '';
  const bad = observed.state === 'failed' || observed.state === 'quarantined';
  const gone = desired?.state === 'removed' && converged;
  return cell(`${observed.state}${running}${next}`, gone ? 'dim' : converged ? 'good' : bad ? 'bad' : 'warn');
}

function reasonOf({ instance, name, observed, converged }: WorkloadView): string[] {
  const reason = observed?.next?.reason ?? observed?.reason;
  return reason === undefined || converged
    ? []
    : [`${name} on ${instance}: ${reason.code}: ${reason.detail.split('\n', 1)[0]}`];
}
