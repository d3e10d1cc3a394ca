/**
 * The examples of the checkout: built, published, deployed.
 *
 * Promise: an example that was edited since its version was published is published as a version of its own beside it, since a published
 * version never changes; whoever edits and starts again sees what they edited.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Alchemist, type Bundle, Fault } from '@cim/alchemist';
import { StepFailure, size } from './report.ts';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/', import.meta.url));

/** What is deployed where. */
export const placement = {
  hello: { kind: 'agent', on: ['cim-a', 'cim-b'] },
  'doc-processor': { kind: 'agent', on: ['cim-a'] },
  'invoice-processor': { kind: 'service', on: ['cim-b'] },
} as const;
export type Example = keyof typeof placement;
export const examples = Object.keys(placement) as Example[];

export interface PublishedExample {
  readonly name: Example;
  readonly version: string;
  readonly size: number;
  readonly created: boolean;
  /** Published beside an older version of the same number. */
  readonly edited: boolean;
}

export async function publishExample(alchemist: Alchemist, name: Example): Promise<PublishedExample> {
  const path = join(EXAMPLES, name);
  const built = await alchemist.bundle(path);
  if (built.manifest.kind !== placement[name].kind) {
    throw new StepFailure('publish', `${name} to be of kind ${placement[name].kind}`, built.manifest.kind);
  }
  try {
    return { ...(await publish(alchemist, name, built)), edited: false };
  } catch (error) {
    if (!(error instanceof Fault && error.code === 'conflict')) throw error;
    const version = `${nextPatch(built.manifest.version)}-dev.h${built.digest.slice('sha256:'.length).slice(0, 10)}`;
    return { ...(await publish(alchemist, name, await alchemist.bundle(path, { version }))), edited: true };
  }
}

async function publish(alchemist: Alchemist, name: Example, bundle: Bundle): Promise<Omit<PublishedExample, 'edited'>> {
  const { version, created, digest } = await alchemist.publish(bundle, { channel: 'stable' });
  if (digest !== bundle.digest) throw new StepFailure('publish', `${name} with digest ${bundle.digest}`, digest);
  const { versions } = (await alchemist.catalog()).find((item) => item.name === name) ?? { versions: [] };
  if (!versions.some((one) => one.version === version && one.digest === digest)) {
    throw new StepFailure(
      'publish',
      `${name}@${version} in the catalog`,
      versions.map((one) => one.version).join(', ') || 'nothing',
    );
  }
  return { name, version, size: bundle.size, created };
}

export interface DeployedExample {
  readonly name: Example;
  readonly instance: string;
  readonly version: string;
  /** False when it was there from before. */
  readonly changed: boolean;
  readonly ms: number;
}

export async function deployExample(
  alchemist: Alchemist,
  { name, version }: PublishedExample,
  instance: string,
): Promise<DeployedExample> {
  const { status, changed, elapsedMs } = await alchemist.deploy({ name, version, instance, retryConflicts: 3, timeout: '90s' });
  const found = `${status?.version ?? 'nothing'}, ${status?.state ?? 'unknown'}`;
  if (status?.state !== 'ready' || status.version !== version) {
    throw new StepFailure('deploy', `${name}@${version} ready on ${instance}`, found);
  }
  return { name, instance, version, changed, ms: elapsedMs };
}

export function publishedText(all: readonly PublishedExample[]): string {
  const texts = all.map(({ name, version, size: bytes, created, edited }) =>
    created ? `${name} ${version} (${size(bytes)}${edited ? ', edited since' : ''})` : `${name} ${version}`,
  );
  return all.some(({ created }) => created) ? texts.join(', ') : `from before: ${texts.join(', ')}`;
}

export function deployedText(all: readonly DeployedExample[]): string {
  const where = (some: readonly DeployedExample[]) =>
    [...Map.groupBy(some, ({ name }) => name)]
      .map(([name, on]) => `${name} on ${on.map(({ instance }) => instance).join(' and ')}`)
      .join(', ');
  const kept = all.filter((one) => !one.changed);
  if (kept.length === 0) return where(all);
  const changed = all.filter((one) => one.changed);
  return changed.length === 0 ? `still there: ${where(kept)}` : `${where(changed)}; still there: ${where(kept)}`;
}

function nextPatch(version: string): string {
  const [major, minor, patch] = version.split('-')[0]!.split('.').map(Number);
  return `${major}.${minor}.${patch! + 1}`;
}

export const sampleText = (example: Example, name: string): string =>
  readFileSync(join(EXAMPLES, example, 'samples', name), 'utf8');
