/**
 * One deployment from a wish to an answer: resolve, write with compare-and-set, watch the node.
 *
 * Promises:
 * E1. Nothing is written before the bundle is known to the catalog and the wish is well formed.
 * E2. The loser of a race is told (`revision-conflict`); it writes again only when it asked to (`retryConflicts`).
 * E3. Asking for what already stands and has converged changes nothing.
 */
import {
  type CatalogEntry,
  type Clock,
  type Desired,
  type DesiredRecord,
  desiredKey,
  type ErrorCode,
  Fault,
  type Signer,
  signDesired,
  type WorkloadStatus,
} from '@cim/contracts';
import type { StoredDesired } from '../registry/answers.ts';
import type { RegistryClient } from '../registry/client.ts';
import { type Look, waitConverged, workloadIn } from './converge.ts';
import { type Author, nextDocument, removalOf, sameWish, type Wish } from './document.ts';
import type { DeployStep, StepKind } from './progress.ts';

/** What a deployment needs of its surroundings. */
export interface Deployer {
  readonly registry: RegistryClient;
  /** Operators who sign, each once; none where none is asked for. */
  readonly signers: readonly Signer[];
  /** Takes the signed document instead of the registry: it goes to another operator first. */
  readonly instead?: ((record: DesiredRecord, revision: number | undefined) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Looks at one instance. */
  look(instance: string): Look;
  /** Seals values for a workload of one instance, by secret name. */
  seal(
    target: { readonly instance: string; readonly kind: 'agent' | 'service'; readonly name: string },
    values: Readonly<Record<string, string>>,
    signal: AbortSignal | undefined,
  ): Promise<NonNullable<Desired['secrets']>>;
}

export interface Course {
  readonly wait: boolean;
  readonly timeoutMs: number;
  readonly retryConflicts: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: DeployStep) => void) | undefined;
}

export interface DeployResult {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly version: string;
  readonly digest: string;
  readonly generation: number;
  readonly revision: number;
  /** False when this very thing was deployed and running before. */
  readonly changed: boolean;
  /** What the node said last; absent with `wait: false` and after a removal. */
  readonly status?: WorkloadStatus;
  readonly steps: readonly DeployStep[];
  readonly elapsedMs: number;
}

/** @throws Fault: the registry's refusal, the node's reason, `not-confirmed` */
export async function deployEntry(
  deployer: Deployer,
  entry: CatalogEntry,
  instance: string,
  wish: Wish,
  course: Course,
  earlier: readonly DeployStep[] = [],
): Promise<DeployResult> {
  const { registry } = deployer;
  const { name, kind, version, digest, size, envelope } = entry;
  const target = { instance, kind, name, bundle: { version, digest, size, envelope } };
  const log = stepLog(deployer.clock, course.onStep, earlier);
  const issuedBy = (await registry.whoami()).name;
  const look = deployer.look(instance);
  const boxes = wish.secrets === undefined ? undefined : await deployer.seal(target, wish.secrets, course.signal);

  const { stored, changed } = await writing(course.retryConflicts, async () => {
    const before = await registry.desired(instance, kind, name);
    const author = { issuedBy, now: deployer.clock.now() };
    const seen = before
      ? undefined
      : await look(course.signal).then(
          (sight) => workloadIn(sight, target)?.generation,
          // An instance nobody has heard of yet has seen nothing.
          () => undefined,
        );
    const document = nextDocument(before?.record.document, target, wish, author, seen, boxes);
    if (before && sameWish(before.record.document, document)) {
      const status = workloadIn(await look(course.signal), target);
      if (status?.converged === true && status.generation >= before.record.document.generation) {
        return { stored: before, changed: false };
      }
    }
    return { stored: await store(deployer, document, before?.revision), changed: true };
  });
  const { generation } = stored.record.document;
  if (changed) log.add(wrote(deployer), `${desiredKey(target)} generation ${generation}, revision ${stored.revision}`);
  else log.add('unchanged', `${name}@${version} is already what ${instance} runs`);
  const status = course.wait
    ? await waitConverged(
        look,
        { ...target, version, digest, generation, removal: false },
        { ...deployer, timeoutMs: course.timeoutMs, signal: course.signal, onStep: log.add },
      )
    : undefined;
  return result(stored, changed, log, status);
}

/** @throws Fault `not-found` when nothing of that name is deployed there */
export async function removeWorkload(
  deployer: Deployer,
  what: { readonly instance: string; readonly name: string; readonly kind?: string | undefined },
  reason: string | undefined,
  course: Course,
): Promise<DeployResult> {
  const { registry } = deployer;
  const log = stepLog(deployer.clock, course.onStep);
  const issuedBy = (await registry.whoami()).name;
  const { stored, changed } = await writing(course.retryConflicts, async () => {
    const before = await standing(registry, what);
    if (before.record.document.state === 'removed') return { stored: before, changed: false };
    const document = removalOf(before.record.document, { issuedBy, now: deployer.clock.now() }, reason);
    return { stored: await store(deployer, document, before.revision), changed: true };
  });
  const { instance, kind, name, generation, bundle } = stored.record.document;
  if (changed) log.add(wrote(deployer), `${desiredKey({ instance, kind, name })} generation ${generation}, removed`);
  else log.add('unchanged', `${name} is already removed from ${instance}`);
  if (course.wait) {
    await waitConverged(
      deployer.look(instance),
      { instance, kind, name, version: bundle.version, digest: bundle.digest, generation, removal: true },
      { ...deployer, timeoutMs: course.timeoutMs, signal: course.signal, onStep: log.add },
    );
  }
  return result(stored, changed, log, undefined);
}

/** Changes a running workload's document and waits for the node. @throws Fault `not-found` when nothing of that name runs there */
export async function change(
  deployer: Deployer,
  what: { readonly instance: string; readonly name: string; readonly kind?: string | undefined },
  course: Course,
  next: (before: Desired, author: Author) => Desired,
): Promise<DeployResult> {
  const { registry, clock } = deployer;
  const log = stepLog(clock, course.onStep);
  const issuedBy = (await registry.whoami()).name;
  const stored = await writing(course.retryConflicts, async () => {
    const before = await standing(registry, what);
    const { document } = before.record;
    if (document.state === 'removed') throw new Fault('not-found', `${what.name} is not deployed on ${what.instance}`);
    const changed = next(document, { issuedBy, now: clock.now() });
    return store(deployer, changed, before.revision);
  });
  const { instance, kind, name, generation, bundle } = stored.record.document;
  log.add(wrote(deployer), `${desiredKey({ instance, kind, name })} generation ${generation}, revision ${stored.revision}`);
  const status = course.wait
    ? await waitConverged(
        deployer.look(instance),
        { instance, kind, name, version: bundle.version, digest: bundle.digest, generation, removal: false },
        { ...deployer, timeoutMs: course.timeoutMs, signal: course.signal, onStep: log.add },
      )
    : undefined;
  return result(stored, true, log, status);
}

/** The document of a workload whose kind may not be known. @throws Fault `not-found` */
export async function standing(
  registry: RegistryClient,
  { instance, name, kind }: { readonly instance: string; readonly name: string; readonly kind?: string | undefined },
): Promise<StoredDesired> {
  const found = (await registry.desiredOf({ instance, name, kind })).filter(
    ({ record: { document } }) => document.instance === instance && document.name === name,
  );
  const running = found.filter(({ record }) => record.document.state === 'running');
  const [one, other] = running.length > 0 ? running : found;
  if (!one) throw new Fault('not-found', `${name} is not deployed on ${instance}`);
  if (other) throw new Fault('invalid-input', `${name} is both an agent and a service on ${instance}: say which with --kind`);
  return one;
}

async function writing<T>(retries: number, write: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof Fault && error.code === 'revision-conflict') || attempt >= retries) throw error;
    }
  }
}

/** Signs with every key at hand and stores, or hands on. */
async function store(
  { registry, signers, instead }: Deployer,
  document: Desired,
  revision: number | undefined,
): Promise<StoredDesired> {
  const record: DesiredRecord = { document, signatures: signers.map((signer) => signDesired(document, signer)) };
  if (!instead) return registry.putDesired(record, revision);
  // Whatever is wrong with it besides the signatures is better known before others sign.
  await registry.checkDesired(record, revision).catch((error) => {
    if (!(error instanceof Fault && unsignedYet.has(error.code))) throw error;
  });
  await instead(record, revision);
  return { revision: revision ?? 0, record };
}

const wrote = ({ instead }: Deployer): StepKind => (instead ? 'drafted' : 'stored');

const unsignedYet: ReadonlySet<string> = new Set<ErrorCode>(['threshold-unmet', 'signer-unknown']);

/** Stores a document that was signed before, and waits for the node. @throws Fault as {@link deployEntry} */
export async function submitRecord(
  deployer: Deployer,
  record: DesiredRecord,
  revision: number | undefined,
  course: Course,
): Promise<DeployResult> {
  const log = stepLog(deployer.clock, course.onStep);
  const stored = await deployer.registry.putDesired(record, revision);
  const { instance, kind, name, generation, bundle, state } = stored.record.document;
  log.add('stored', `${desiredKey({ instance, kind, name })} generation ${generation}, revision ${stored.revision}`);
  const target = {
    instance,
    kind,
    name,
    version: bundle.version,
    digest: bundle.digest,
    generation,
    removal: state === 'removed',
  };
  const status = course.wait
    ? await waitConverged(deployer.look(instance), target, {
        ...deployer,
        timeoutMs: course.timeoutMs,
        signal: course.signal,
        onStep: log.add,
      })
    : undefined;
  return result(stored, true, log, state === 'removed' ? undefined : status);
}

/** Collects steps with their times and tells whoever listens. */
export function stepLog(clock: Clock, onStep?: (step: DeployStep) => void, earlier: readonly DeployStep[] = []) {
  const begun = clock.monotonic() - (earlier.at(-1)?.elapsedMs ?? 0);
  const steps: DeployStep[] = [...earlier];
  const elapsed = () => Math.round(clock.monotonic() - begun);
  return {
    steps,
    elapsed,
    add(kind: StepKind, detail: string): void {
      const step = { kind, detail, elapsedMs: elapsed() };
      steps.push(step);
      onStep?.(step);
    },
  };
}

function result(
  { record: { document }, revision }: StoredDesired,
  changed: boolean,
  log: ReturnType<typeof stepLog>,
  status: WorkloadStatus | undefined,
): DeployResult {
  const { instance, kind, name, generation, bundle } = document;
  return {
    instance,
    kind,
    name,
    version: bundle.version,
    digest: bundle.digest,
    generation,
    revision,
    changed,
    ...(status === undefined ? {} : { status }),
    steps: log.steps,
    elapsedMs: log.elapsed(),
  };
}
