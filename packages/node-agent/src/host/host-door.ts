/**
 * What a guest may ask of its host: checked here, in the daemon, against the manifest's grants. The cell is not trusted with it.
 *
 * Promises:
 * H1. Every argument is checked for shape before it is used; a guest can only make its own request fail.
 * H2. What the manifest does not grant is refused with `grant-refused`, naming what would have to be granted.
 * H3. Every operation has a deadline and a rate; a flood is `rate-limited`, not queued.
 */
import {
  Capability,
  type Clock,
  DurationText,
  decode,
  EventType,
  Fault,
  InstanceId,
  isPlainSubject,
  type Manifest,
  msOf,
  reservedEntities,
  subjectWithin,
} from '@cim/contracts';
import { z } from 'zod';
import { reserved } from '../core/reserved.ts';
import type { HostDoor, HostOperation, ReplicaId } from '../sandbox/sandbox.ts';
import { createRate } from './rate.ts';

/** A workload's own memory. Values go in as JSON text; a lost race is `undefined`. */
export interface WorkloadKv {
  entry(key: string): Promise<{ readonly value: unknown; readonly revision: number } | undefined>;
  put(key: string, json: string): Promise<number>;
  create(key: string, json: string): Promise<number | undefined>;
  update(key: string, json: string, revision: number): Promise<number | undefined>;
  delete(key: string): Promise<null>;
  keys(prefix: string): Promise<string[]>;
}

/** What the door needs of the rest of the node. */
export interface HostPorts {
  readonly clock: Clock;
  /** Calls a capability here or elsewhere; answers JSON text. */
  readonly call: (
    capability: string,
    input: string,
    options: { readonly instance: string | undefined; readonly timeoutMs: number; readonly correlationId: string | undefined },
  ) => Promise<string>;
  readonly publish: (subject: string, data: string) => Promise<void>;
  readonly emit: (id: ReplicaId, type: string, data: unknown, subject: string | undefined) => void;
  readonly secret: (name: string) => Promise<string>;
  readonly log: (
    id: ReplicaId,
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields: Record<string, unknown>,
  ) => void;
  readonly metric: (id: ReplicaId, kind: 'counter' | 'gauge' | 'histogram', name: string, value: number) => void;
}

export interface HostDoorOptions {
  readonly id: ReplicaId;
  readonly manifest: Manifest;
  readonly ports: HostPorts;
  readonly kv: WorkloadKv;
  readonly asset: (path: string) => Promise<Uint8Array | undefined>;
}

const Key = z
  .string()
  .max(512)
  .regex(
    /^[A-Za-z0-9_=/-]+(?:\.[A-Za-z0-9_=/-]+)*$/,
    'expected a key of letters, digits, "-", "_", "/", "=" and single dots, e.g. "seen.4711"',
  );
const Value = z.unknown();
const Revision = z.number().int().nonnegative();

const args = {
  'kv.get': z.tuple([Key]),
  'kv.entry': z.tuple([Key]),
  'kv.put': z.tuple([Key, Value]),
  'kv.create': z.tuple([Key, Value]),
  'kv.update': z.tuple([Key, Value, Revision]),
  'kv.delete': z.tuple([Key]),
  'kv.keys': z.tuple([z.string().max(512).optional().nullable()]),
  publish: z.tuple([
    z.string().max(255).refine(isPlainSubject, 'expected a subject without wildcards, e.g. "orders.created"'),
    Value,
  ]),
  emit: z.tuple([
    EventType,
    Value,
    z
      .strictObject({ subject: z.string().max(300).optional() })
      .optional()
      .nullable(),
  ]),
  call: z.tuple([
    Capability,
    Value,
    z.strictObject({ instance: InstanceId.optional(), timeout: DurationText.optional() }).optional().nullable(),
    z
      .strictObject({ budgetMs: z.number().positive().optional(), correlationId: z.string().max(64).optional() })
      .optional()
      .nullable(),
  ]),
  secret: z.tuple([z.string().max(64)]),
  asset: z.tuple([z.string().max(300)]),
} as const satisfies Record<HostOperation, z.ZodType>;

/** Operations a second and the burst allowed on top, one replica. */
const RATES: Readonly<Record<'kv' | 'publish' | 'emit' | 'call' | 'other', readonly [number, number]>> = {
  kv: [5_000, 10_000],
  publish: [2_000, 4_000],
  emit: [200, 1_000],
  call: [5_000, 10_000],
  other: [1_000, 2_000],
};
const LONGEST_CALL_MS = 300_000;
const LARGEST_VALUE = 1_000_000;

export function createHostDoor({ id, manifest, ports, kv, asset }: HostDoorOptions): HostDoor {
  const rates = Object.fromEntries(
    Object.entries(RATES).map(([kind, [perSecond, burst]]) => [kind, createRate(ports.clock, perSecond, burst)]),
  );
  const { grants } = manifest;
  const known = new Set<string>(Object.keys(args));

  const read = <O extends HostOperation>(operation: O, given: readonly unknown[]): z.output<(typeof args)[O]> => {
    const tuple = args[operation] as z.ZodTuple;
    // A trailing `undefined` is lost in JSON: fill up what is optional.
    const filled = [...given.slice(0, tuple.def.items.length)];
    while (filled.length < tuple.def.items.length) filled.push(undefined);
    return decode(tuple, filled, `ctx.${operation}`) as z.output<(typeof args)[O]>;
  };
  const text = (value: unknown): string => {
    const json = JSON.stringify(value ?? null);
    if (json.length > LARGEST_VALUE)
      throw new Fault('too-large', `expected at most ${LARGEST_VALUE} characters of JSON, found ${json.length}`);
    return json;
  };
  const needKv = () => {
    if (!grants.kv) throw new Fault('grant-refused', 'ctx.kv needs grants.kv: true in the definition');
  };

  const operations: Record<HostOperation, (given: readonly unknown[]) => Promise<unknown>> = {
    'kv.get': async (given) => (await kv.entry(read('kv.get', given)[0]))?.value,
    'kv.entry': async (given) => kv.entry(read('kv.entry', given)[0]),
    async 'kv.put'(given) {
      const [key, value] = read('kv.put', given);
      return kv.put(key, text(value));
    },
    async 'kv.create'(given) {
      const [key, value] = read('kv.create', given);
      return kv.create(key, text(value));
    },
    async 'kv.update'(given) {
      const [key, value, revision] = read('kv.update', given);
      return kv.update(key, text(value), revision);
    },
    'kv.delete': async (given) => kv.delete(read('kv.delete', given)[0]),
    'kv.keys': async (given) => kv.keys(read('kv.keys', given)[0] ?? ''),
    async publish(given) {
      const [subject, data] = read('publish', given);
      if (!grants.publish.some((pattern) => subjectWithin(subject, pattern))) {
        throw new Fault('grant-refused', `ctx.publish: ${subject} is not within grants.publish [${grants.publish.join(', ')}]`);
      }
      // CIM's own subjects and the server's are never a guest's to speak on, whatever the manifest says.
      const why = reserved(subject, false);
      if (why !== undefined) throw new Fault('grant-refused', `ctx.publish: ${subject} ${why}`);
      await ports.publish(subject, text(data));
      return null;
    },
    async emit(given) {
      const [type, data, options] = read('emit', given);
      const entity = type.split('.')[0]!;
      if (reservedEntities.has(entity))
        throw new Fault('grant-refused', `ctx.emit: event types that begin with "${entity}." are CIM's own`);
      text(data);
      ports.emit(id, type, data, options?.subject);
      return null;
    },
    async call(given) {
      const [capability, input, options, around] = read('call', given);
      if (!grants.call.some((pattern) => subjectWithin(capability, pattern))) {
        throw new Fault('grant-refused', `ctx.call: ${capability} is not within grants.call [${grants.call.join(', ')}]`);
      }
      const asked = options?.timeout === undefined ? 30_000 : msOf(options.timeout);
      const timeoutMs = Math.max(1, Math.floor(Math.min(asked, around?.budgetMs ?? LONGEST_CALL_MS, LONGEST_CALL_MS)));
      const answer = await ports.call(capability, text(input), {
        instance: options?.instance,
        timeoutMs,
        correlationId: around?.correlationId,
      });
      return JSON.parse(answer);
    },
    async secret(given) {
      const [name] = read('secret', given);
      if (!grants.secrets.includes(name)) throw new Fault('grant-refused', `ctx.secrets: "${name}" is not in grants.secrets`);
      return ports.secret(name);
    },
    async asset(given) {
      const [path] = read('asset', given);
      const bytes = await asset(path);
      if (!bytes) throw new Fault('not-found', `asset "${path}" is not in the bundle`);
      return Buffer.from(bytes).toString('base64');
    },
  };

  return {
    async ask(operation, given) {
      if (!known.has(operation))
        throw new Fault('invalid-input', `ctx: no operation ${JSON.stringify(String(operation).slice(0, 40))}`);
      const kind = operation.startsWith('kv.') ? 'kv' : operation in RATES ? operation : 'other';
      if (!rates[kind]!.take())
        throw new Fault('rate-limited', `ctx.${operation}: more than ${RATES[kind as keyof typeof RATES][0]} a second`);
      if (kind === 'kv') needKv();
      return operations[operation](given);
    },
    log: (level, message, fields) => ports.log(id, level, message, fields),
    metric: (kind, name, value) => ports.metric(id, kind, name, value),
  };
}
