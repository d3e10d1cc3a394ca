/**
 * From an empty fleet to answered calls, every answer checked: the steps of `npm start`.
 */
import { relative } from 'node:path';
import type { Alchemist } from '@cim/alchemist';
import { systemClock, waitUntil } from '@cim/contracts';
import { callerAt } from '../caller.ts';
import type { Fleet } from '../fleet.ts';
import { currentDirectory } from '../machine/surroundings.ts';
import { showDocuments } from './documents.ts';
import {
  type DeployedExample,
  deployExample,
  deployedText,
  examples,
  type PublishedExample,
  placement,
  publishExample,
  publishedText,
} from './examples.ts';
import { showGreetings } from './greetings.ts';
import { showInvoices } from './invoices.ts';
import { duration, type Report, StepFailure } from './report.ts';

export interface Deployment {
  readonly published: readonly PublishedExample[];
  readonly deployed: readonly DeployedExample[];
}

const SEEN_MS = 30_000;

/** Builds, publishes and deploys the examples and waits until the registry has seen all of it run. */
export async function deployExamples(report: Report, alchemist: Alchemist): Promise<Deployment> {
  const published = await report.step(
    'published',
    () => inOrder(examples, (name) => publishExample(alchemist, name)),
    publishedText,
  );
  const deployed = await report.step(
    'deployed',
    async () =>
      (
        await Promise.all(published.map((one) => inOrder(placement[one.name].on, (on) => deployExample(alchemist, one, on))))
      ).flat(),
    deployedText,
  );
  await report.step(
    'seen',
    () => seen(alchemist, deployed),
    (count) => `the registry sees ${count} workloads run as they should`,
  );
  return { published, deployed };
}

/** What runs where, as the registry sees it. */
export async function showWorkloads(report: Report, alchemist: Alchemist): Promise<void> {
  const workloads = (await alchemist.workloads()).filter(({ desired }) => desired?.state !== 'removed');
  report.section('What runs where');
  report.table(
    ['instance', 'workload', 'kind', 'version', 'state', 'replicas', 'answers'],
    workloads.map(({ instance, name, kind, desired, observed }) => [
      instance,
      name,
      kind,
      observed?.version ?? '-',
      observed?.state === 'ready' ? report.paint.green('ready') : (observed?.state ?? 'unknown'),
      `${observed?.replicas.ready ?? 0}/${desired?.replicas ?? 0}`,
      observed?.capabilities.join(', ') ?? '',
    ]),
  );
  for (const { instance, name, desired, observed } of workloads) {
    report.fact('workload', {
      instance,
      name,
      version: observed?.version,
      state: observed?.state,
      replicas: observed?.replicas,
      desired,
    });
  }
}

/** Real work through calls, each from where the workload is not. @throws StepFailure at the first answer that is not as it should be */
export async function showAnswers(
  report: Report,
  fleet: Fleet,
  alchemist: Alchemist,
  { published }: Deployment,
): Promise<void> {
  const served = (name: 'doc-processor' | 'invoice-processor') => {
    const { kind, on } = placement[name];
    return `${on[0]}/${kind}/${name}@${published.find((one) => one.name === name)!.version}`;
  };
  await using fromA = await callerAt(fleet, 'cim-a');
  await using fromB = await callerAt(fleet, 'cim-b');
  report.section('Greetings', 'hello on both instances, asked through the hub');
  const greetings = await showGreetings(report, alchemist, ['cim-a', 'cim-b']);
  report.section('Documents', `doc-processor on cim-a, asked from cim-b over two leaf links`);
  const documents = await showDocuments(report, fromB, served('doc-processor'));
  report.section('Invoices', `invoice-processor on cim-b, asked from cim-a over two leaf links`);
  const invoices = await showInvoices(report, fromA, served('invoice-processor'), fleet.resumed);
  report.section('Timings', 'from asking to the answer; the first call of a workload compiles its code');
  for (const [name, times] of Object.entries({ greetings, documents, invoices })) {
    const sorted = times.toSorted((one, other) => one - other);
    const median = sorted[Math.floor(sorted.length / 2)]!;
    report.line(
      `${name.padEnd(10)} ${`${times.length} calls`.padStart(8)}   first ${duration(times[0]!)}, median ${duration(median)}, longest ${duration(sorted.at(-1)!)}`,
    );
    report.fact('timing', { name, calls: times.length, first: times[0], median, longest: sorted.at(-1) });
  }
}

/** Where to look, and what to try. */
export function showPlaces(report: Report, fleet: Fleet, profileFound: boolean): void {
  const { paint } = report;
  const url = (text: string) => paint.cyan(text);
  report.section('Where to look');
  report.line(`registry   ${url(`${fleet.registry.url}/docs`)}  /health  /metrics  /openapi.json`);
  for (const { instance, agent } of fleet.members)
    report.line(`${instance.padEnd(10)} ${url(`${agent.url}/health`)}  /metrics  /api/v1/workloads`);
  report.line(
    `NATS       ${url(fleet.hub.url)}  (hub)  ${fleet.members.map(({ instance, leaf }) => `${url(leaf.url)}  (${instance})`).join('  ')}`,
  );
  report.line(`state      ${shown(fleet.directory)}  (profile ${shown(fleet.profileFile)})`);
  report.section('Try', profileFound ? undefined : `with CIM_PROFILE=${shown(fleet.profileFile)}`);
  for (const command of [
    'npx alchemist status',
    'npx alchemist call greeting.say \'{"name":"Ada","language":"de"}\'',
    'npx alchemist events -f',
    'npx alchemist init my-agent',
  ])
    report.line(paint.bold(command));
}

/** A path as short as a person would write it from here. */
export function shown(path: string): string {
  const short = relative(currentDirectory(), path);
  return short.startsWith('..') ? path : short || '.';
}

async function seen(alchemist: Alchemist, deployed: readonly DeployedExample[]): Promise<number> {
  let missing: string[] = [];
  const all = await waitUntil(
    systemClock,
    SEEN_MS,
    async () => {
      const workloads = await alchemist.workloads();
      missing = deployed
        .filter(({ name, instance, version }) => {
          const found = workloads.find((one) => one.name === name && one.instance === instance);
          return !(found?.converged && found.presence === 'online' && found.observed?.version === version);
        })
        .map(({ name, instance }) => `${name} on ${instance}`);
      return missing.length === 0;
    },
    200,
  );
  if (!all)
    throw new StepFailure(
      'seen',
      `the registry to see all workloads converged within ${duration(SEEN_MS)}`,
      `not yet ${missing.join(', ')}`,
    );
  return deployed.length;
}

async function inOrder<T, R>(of: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> {
  const out: R[] = [];
  for (const one of of) out.push(await work(one));
  return out;
}
