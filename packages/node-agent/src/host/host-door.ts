/**
 * What a guest may ask of its host: checked here, in the daemon, against the manifest's grants. The cell is not trusted with it.
 *
 * Promises:
 * H1. Every argument is checked for shape before it is used; a guest can only make its own request fail.
 * H2. What the manifest does not grant is refused with `grant-refused`, naming what would have to be granted.
 * H4. A secret that was handed over is taken out of the guest's logs, events and faults.
 * H3. Every operation has a deadline and a rate; a flood is `rate-limited`, not queued.
 */
import {
  Capability,
  type Clock,
  type Desired,
  DurationText,
  decode,
  type ErrorCode,
  EventType,
  Fault,
  type GuestRates,
  InstanceId,
  isPlainSubject,
  type Manifest,
  msOf,
  reservedEntities,
  subjectWithin,
} from '@cim/contracts';
import { z } from 'zod';
import type { LimitName } from '../core/limit-names.ts';
import { reserved } from '../core/reserved.ts';
import { isHeavy, MOST_VALUES } from '../sandbox/heft.ts';
import type { HostDoor, HostOperation, ReplicaId } from '../sandbox/sandbox.ts';
import { createEgress, type Lookup } from './egress.ts';
import { createRate, type Rate } from './rate.ts';
import { createRedactor } from './redact.ts';
import type { ReadSecret } from './secrets.ts';

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
  readonly secret: ReadSecret;
  readonly log: (
    id: ReplicaId,
    level: 'debug' | 'info' | 'warn' | 'error',
    message: string,
    fields: Record<string, unknown>,
  ) => void;
  readonly metric: (id: ReplicaId, kind: 'counter' | 'gauge' | 'histogram', name: string, value: number) => void;
  /** Told of a limit the guest ran into. */
  readonly limit: (id: ReplicaId, limit: LimitName, detail: string, hits: number) => void;
  /** Requests a second, by kind. */
  readonly rates: GuestRates;
  /** Characters of JSON of the largest value. */
  readonly maxValue: number;
  /** Requests to other hosts under way at a time. */
  readonly maxFetches: number;
}

export interface HostDoorOptions {
  readonly id: ReplicaId;
  readonly manifest: Manifest;
  readonly ports: HostPorts;
  readonly kv: WorkloadKv;
  readonly asset: (path: string) => Promise<Uint8Array | undefined>;
  /** Addresses of names for `fetch`. Default: the system's resolver. */
  readonly lookup?: Lookup;
  /** Secrets sealed for this workload, as its newest document carries them. */
  readonly sealed?: () => Desired['secrets'];
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
  fetch: z.tuple([Value]),
} as const satisfies Record<HostOperation, z.ZodType>;

/** What may come at once, in seconds' worth of its rate. Events are kept for long, so they come seldom, and then in flocks. */
const BURST: Readonly<Record<Kind, number>> = { kv: 2, publish: 2, emit: 5, call: 2, fetch: 2, other: 2 };
type Kind = Exclude<keyof GuestRates, 'log'>;
const LONGEST_CALL_MS = 300_000;

export function createHostDoor({ id, manifest, ports, kv, asset, sealed, lookup }: HostDoorOptions): HostDoor {
  const redactor = createRedactor();
  const egress = createEgress({
    grants: manifest.grants.http ?? [],
    clock: ports.clock,
    perSecond: ports.rates.fetch,
    concurrent: ports.maxFetches,
    ...(lookup ? { lookup } : {}),
  });
  const kinds = Object.keys(BURST) as Kind[];
  const rates = Object.fromEntries(
    kinds.map((kind) => [kind, createRate(ports.clock, ports.rates[kind], ports.rates[kind] * BURST[kind])]),
  ) as Record<Kind, Rate>;
  const hit = (limit: LimitName, detail: string) => ports.limit(id, limit, detail, 1);
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
    if (json.length > ports.maxValue) {
      const detail = `expected at most ${ports.maxValue} characters of JSON (sandbox.maxValue), found ${json.length}`;
      hit('value-size', detail);
      throw new Fault('too-large', detail);
    }
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
      ports.emit(id, type, redactor.value(data), options?.subject === undefined ? undefined : redactor.text(options.subject));
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
      // The other side is no more to be trusted than this one.
      if (isHeavy(answer))
        throw new Fault('too-large', `ctx.call: ${capability} answered more than ${MOST_VALUES} values and keys`);
      return JSON.parse(answer);
    },
    async secret(given) {
      const [name] = read('secret', given);
      if (!grants.secrets.includes(name)) throw new Fault('grant-refused', `ctx.secrets: "${name}" is not in grants.secrets`);
      const value = await ports.secret(id, name, sealed?.());
      redactor.learn(value);
      return value;
    },
    async asset(given) {
      const [path] = read('asset', given);
      const bytes = await asset(path);
      if (!bytes) throw new Fault('not-found', `asset "${path}" is not in the bundle`);
      return Buffer.from(bytes).toString('base64');
    },
    fetch: async (given) => egress.send(read('fetch', given)[0]),
  };

  return {
    async ask(operation, given) {
      if (!known.has(operation))
        throw new Fault('invalid-input', `ctx: no operation ${JSON.stringify(String(operation).slice(0, 40))}`);
      const kind: Kind = operation.startsWith('kv.') ? 'kv' : operation in BURST ? (operation as Kind) : 'other';
      if (!rates[kind].take()) {
        const detail = `ctx.${operation}: more than ${ports.rates[kind]} a second (sandbox.rates.${kind})`;
        hit(`${kind}-rate`, detail);
        throw new Fault('rate-limited', detail);
      }
      if (kind === 'kv') needKv();
      try {
        return await operations[operation](given);
      } catch (error) {
        const limit = error instanceof Fault ? limitOf(operation, error.code) : undefined;
        if (limit !== undefined) hit(limit, (error as Fault).detail);
        throw error;
      }
    },
    log: (level, message, fields) => ports.log(id, level, redactor.text(message), redactor.value(fields)),
    redact: (text) => redactor.text(text),
    metric: (kind, name, value) => ports.metric(id, kind, name, value),
    limit: (limit, detail, hits) => ports.limit(id, limit, redactor.text(detail), hits),
  };
}

/** Limits that are kept where an operation is done: what their faults say of them. */
function limitOf(operation: string, code: ErrorCode): LimitName | undefined {
  if (code === 'storage-exceeded') return 'storage';
  if (operation !== 'fetch') return undefined;
  return code === 'overloaded'
    ? 'fetch-connections'
    : code === 'too-large'
      ? 'fetch-size'
      : code === 'rate-limited'
        ? 'fetch-rate'
        : undefined;
}
