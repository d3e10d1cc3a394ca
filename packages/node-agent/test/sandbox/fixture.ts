/** Bundles written on the spot, a host door that remembers, and a sandbox with real cells that is stopped after the test. */
import {
  Fault,
  type Limits,
  Manifest,
  NodeAgentConfig,
  type PublicKey,
  silentLogger,
  systemClock,
  waitUntil,
} from '@cim/contracts';
import { asVerified, type VerifiedBundle } from '../../src/bundle/verified.ts';
import { createSandbox, type SandboxOptions } from '../../src/sandbox/pool.ts';
import type { CallRequest, HostDoor, HostOperation, Isolate, OpenOptions, Sandbox } from '../../src/sandbox/sandbox.ts';

export const PUBLISHER_A = `A${'A'.repeat(55)}` as PublicKey;
export const PUBLISHER_B = `A${'B'.repeat(55)}` as PublicKey;

type ManifestInput = Partial<Parameters<typeof Manifest.parse>[0] & Record<string, unknown>>;

export interface BundleInput {
  /** Body of the module, or of the one handler of capability `t.do` when it has no `export`. */
  readonly source: string;
  readonly manifest?: ManifestInput;
  readonly publisher?: PublicKey;
  readonly sourceMap?: string;
}

/** A module with one capability, `t.do`, whose handler has this body and sees `input`, `ctx` and `call`. */
export const handling = (body: string, before = ''): string =>
  `${before}\nexport default { kind: 'agent', api: 1, capabilities: { 't.do': { handle(input, ctx, call) { ${body} } } } };`;

export function bundleOf({ source, manifest, publisher = PUBLISHER_A, sourceMap }: BundleInput): VerifiedBundle {
  const entry = source.includes('export default') ? source : handling(source);
  return asVerified({
    statement: {} as VerifiedBundle['statement'],
    manifest: Manifest.parse({
      api: 1,
      name: 'probe',
      version: '1.0.0',
      kind: 'agent',
      capabilities: { 't.do': {} },
      ...(manifest as object),
    }),
    publisher: { name: 'test', key: publisher },
    entry,
    sourceMap,
    asset: async () => undefined,
  });
}

/** A door that answers from a table and remembers what went through it. */
export function doorOf(answers: Partial<Record<HostOperation, (args: readonly unknown[], callId?: string) => unknown>> = {}) {
  const logs: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const metrics: [string, string, number][] = [];
  const limits: { limit: string; detail: string; hits: number }[] = [];
  const asked: { operation: string; args: readonly unknown[]; callId: string | undefined }[] = [];
  const door: HostDoor = {
    async ask(operation, args, { callId }) {
      asked.push({ operation, args, callId });
      const answer = answers[operation];
      if (!answer) throw new Fault('grant-refused', `${operation} is not granted`);
      return answer(args, callId);
    },
    log: (level, message, fields) => void logs.push({ level, message, fields }),
    metric: (kind, name, value) => void metrics.push([kind, name, value]),
    limit: (limit, detail, hits) => void limits.push({ limit, detail, hits }),
  };
  return { door, logs, metrics, asked, limits };
}

export const limitsOf = (limits: Partial<Limits> = {}): Limits => ({
  maxConcurrent: 16,
  timeoutMs: 10_000,
  turnMs: 500,
  memoryBytes: 64 * 2 ** 20,
  milliCpu: 4000,
  storageBytes: 2 ** 20,
  ...limits,
});

export const configOf = (config: object = {}): NodeAgentConfig['sandbox'] =>
  NodeAgentConfig.shape.sandbox.parse({ cgroup: 'off', ...config });

export function sandboxOf(config: object = {}, options: Partial<SandboxOptions> = {}): Sandbox {
  return createSandbox({ clock: systemClock, log: silentLogger, config: configOf(config), ...options });
}

export function openOf(
  bundle: BundleInput,
  options: Partial<Omit<OpenOptions, 'bundle' | 'limits'>> & { readonly limits?: Partial<Limits> } = {},
): OpenOptions {
  const verified = bundleOf(bundle);
  return {
    id: { instance: 'cim-test-001', kind: verified.manifest.kind, name: verified.manifest.name, version: '1.0.0', replica: 0 },
    isolation: 'dedicated',
    config: verified.manifest.config,
    host: doorOf().door,
    ...options,
    bundle: verified,
    limits: limitsOf(options.limits),
  };
}

let calls = 0;
/** Calls `t.do`; the answer parsed. */
export async function ask(isolate: Isolate, input: unknown = null, request: Partial<CallRequest> = {}): Promise<any> {
  calls += 1;
  const text = await isolate.call({
    callId: `call-${calls}`,
    capability: 't.do',
    input: JSON.stringify(input),
    budgetMs: 10_000,
    correlationId: 'cor',
    ...request,
  });
  return JSON.parse(text.toString());
}

/** The fault a promise ends in. */
export async function faultFrom(promise: Promise<unknown>): Promise<Fault> {
  try {
    const value = await promise;
    throw new Error(`no fault, but ${JSON.stringify(value)}`);
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
}

/** True once the test holds; false after two seconds. */
export const soon = (test: () => boolean, ms = 2_000): Promise<boolean> => waitUntil(systemClock, ms, test, 10);

export function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
