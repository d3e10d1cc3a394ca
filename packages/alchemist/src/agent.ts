/**
 * The author's door: what a bundle's entry file imports to say what it is and what it does.
 *
 * Promises:
 * A1. No import and no run-time dependency: this file goes into every bundle and into every scaffolded project.
 * A2. A definition is plain data plus functions. The data becomes the manifest; the functions run in the isolate.
 * A3. Nothing happens at definition time but a check of shape; a wrong field is named with its path.
 */

/** Anything that survives JSON: what crosses the wall of the isolate, and nothing else does. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** A JSON Schema (draft 2020-12). Input is checked before the handler runs, output before it leaves the isolate. */
export type JsonSchema = boolean | { readonly [key: string]: unknown };

/** A length of time: `"500ms"`, `"30s"`, `"5m"`, `"1h"`. */
export type DurationText = string;

/** Who is running: fixed for the life of the replica. */
export interface WorkloadInfo {
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly version: string;
  readonly instance: string;
  /** Which living copy this is, from 0. */
  readonly replica: number;
}

/** Structured log. The message is a constant sentence, the facts are fields. Goes to `cim.v1.log.<instance>.<workload>.<level>`. */
export interface Log {
  debug(message: string, fields?: Record<string, Json>): void;
  info(message: string, fields?: Record<string, Json>): void;
  warn(message: string, fields?: Record<string, Json>): void;
  error(message: string, fields?: Record<string, Json>): void;
}

/** The workload's own memory on this instance: a JetStream KV bucket on the leaf, so it works with the hub down. Needs `grants.kv`. */
export interface Kv {
  /** The value, or `undefined` when the key is absent. */
  get<T extends Json = Json>(key: string): Promise<T | undefined>;
  /** The value with its revision, for a later {@link Kv.update}. */
  entry<T extends Json = Json>(key: string): Promise<{ readonly value: T; readonly revision: number } | undefined>;
  /** Writes whatever was there before. @returns the new revision */
  put(key: string, value: Json): Promise<number>;
  /** Writes only when the key is absent. @returns the new revision, or `undefined` when the key already exists */
  create(key: string, value: Json): Promise<number | undefined>;
  /** Writes only when the revision is still the one given. @returns the new revision, or `undefined` when someone else wrote first */
  update(key: string, value: Json, revision: number): Promise<number | undefined>;
  delete(key: string): Promise<void>;
  /** Keys that start with the prefix, in order. At most 10,000. */
  keys(prefix?: string): Promise<string[]>;
}

export interface CallOptions {
  /** Ask this instance and no other; else any instance that offers the capability, a local one first. */
  readonly instance?: string;
  /** How long to wait. Never longer than what is left of the call that is being served. Default 30s. */
  readonly timeout?: DurationText;
}

/** Counters and the like, exported by the node-agent as `cim_workload_*` with bounded names and labels. */
export interface Metrics {
  increment(name: string, by?: number): void;
  gauge(name: string, value: number): void;
  observe(name: string, value: number): void;
}

/** All that a handler may reach. Everything but `log`, `config` and `metrics` is checked against the manifest's grants outside the isolate. */
export interface Context<Config = Record<string, Json>> {
  readonly workload: WorkloadInfo;
  readonly log: Log;
  /** Defaults of the definition, overridden by what the operator deployed; already checked against `configSchema`. */
  readonly config: Readonly<Config>;
  readonly kv: Kv;
  readonly metrics: Metrics;
  /** Secrets of the instance, by name, within `grants.secrets`. */
  readonly secrets: { get(name: string): Promise<string> };
  /** Files that were bundled from the project's `assets/` folder. */
  readonly assets: { text(path: string): Promise<string>; bytes(path: string): Promise<Uint8Array> };
  /** Publishes to a NATS subject within `grants.publish`. */
  publish(subject: string, data: Json): Promise<void>;
  /** Records an event (CloudEvents) in the leaf's stream, from where it reaches the hub. `type` is dotted, e.g. `invoice.accepted`. */
  emit(type: string, data: Json, options?: { readonly subject?: string }): Promise<void>;
  /** Calls a capability within `grants.call`. Faults arrive as {@link CallError}. */
  call<T extends Json = Json>(capability: string, input: Json, options?: CallOptions): Promise<T>;
}

/** Facts about the call being served. */
export interface Call {
  readonly id: string;
  readonly capability: string;
  /** Milliseconds left when the call entered the isolate. */
  readonly budget: number;
  readonly correlationId: string;
  readonly traceparent?: string;
}

export interface Message {
  readonly subject: string;
  readonly data: Json;
}

/** What a failed {@link Context.call} throws: the code comes from CIM's error table. */
export interface CallError extends Error {
  readonly code: string;
  readonly retry: boolean;
}

/**
 * Throw it from a handler to refuse the input for a reason no schema can say: the caller gets `invalid-input` with the path, as for a
 * schema, and the call does not count as a failure of the handler.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code = 'invalid-input';
  /** Which field of the input, e.g. `steps[2].use`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}

export interface Capability<Config = Record<string, Json>, I = any, O = any> {
  readonly description?: string;
  readonly input?: JsonSchema;
  readonly output?: JsonSchema;
  handle(input: I, ctx: Context<Config>, call: Call): O | Promise<O>;
}

/** One host for `fetch`. What is left out has the default named. */
export interface HttpGrant {
  /** Exact, in lower case: `api.example.org`. */
  readonly host: string;
  /** Default `https`. */
  readonly scheme?: 'https' | 'http';
  /** Default: the scheme's. */
  readonly port?: number;
  /** Default GET and HEAD. */
  readonly methods?: readonly string[];
  /** Exact paths, or all below one that ends in `/`. Default: all. */
  readonly paths?: readonly string[];
  /** Largest answer. Default `1Mi`, at most `16Mi`. */
  readonly maxBytes?: string | number;
  /** For the whole exchange. Default `10s`, at most `60s`. */
  readonly timeout?: DurationText;
  /** Whether the host may be at a private or loopback address. Default false. */
  readonly private?: boolean;
}

export interface Grants {
  /** NATS subjects (wildcards allowed) the workload may publish to. */
  readonly publish?: readonly string[];
  /** NATS subjects the workload may subscribe to; those in `subscribe` are added by themselves. */
  readonly subscribe?: readonly string[];
  /** Capabilities the workload may call; `*` and `>` as in subjects. */
  readonly call?: readonly string[];
  /** True to have a KV bucket of its own on the leaf. */
  readonly kv?: boolean;
  /** Secrets it may read, by name. */
  readonly secrets?: readonly string[];
  /** Hosts `fetch` may reach, each by its exact name. */
  readonly http?: readonly HttpGrant[];
  /** True to have WebAssembly; the instance must allow it. */
  readonly wasm?: boolean;
  /** True to have SharedArrayBuffer and Atomics; the instance must allow it. */
  readonly sharedMemory?: boolean;
  /** True to have eval and new Function; the instance must allow it. */
  readonly codegen?: boolean;
}

/** The definition of a workload. Names, units and defaults: docs/writing-agents.md. */
export interface Definition<Config = Record<string, Json>> {
  /** `[a-z0-9-]`, 1 to 63 characters. Default: the name in package.json. */
  readonly name?: string;
  /** Semantic version. Default: the version in package.json. */
  readonly version?: string;
  readonly description?: string;
  readonly capabilities: { readonly [capability: string]: Capability<Config> };
  readonly subscribe?: { readonly [subject: string]: (message: Message, ctx: Context<Config>) => unknown };
  /** Work on the clock: `every` a length of time, or `cron` (five fields, UTC). Runs never overlap themselves. */
  readonly schedule?: {
    readonly [name: string]: {
      readonly every?: DurationText;
      readonly cron?: string;
      run(ctx: Context<Config>): unknown;
    };
  };
  /** Defaults of `ctx.config`. */
  readonly config?: Config;
  readonly configSchema?: JsonSchema;
  readonly configuration?: {
    /** Calls served at a time by one replica. Default 16. */
    readonly maxConcurrent?: number;
    /** Deadline of one call. Default 30s. */
    readonly timeout?: DurationText;
    /** Longest stretch of synchronous work before the isolate is interrupted. Default 2s. */
    readonly turn?: DurationText;
  };
  readonly resources?: {
    readonly cpu?: string | number;
    readonly memory?: string | number;
    readonly storage?: string | number;
    readonly gpu?: string | number;
  };
  readonly grants?: Grants;
  /** What an instance must offer for this to run there. */
  readonly requires?: { readonly capabilities?: readonly string[]; readonly gpu?: boolean };
  /** Runs once before the first call; the replica is ready when it returns. */
  start?(ctx: Context<Config>): unknown;
  /** Runs once when the replica drains, within the drain deadline. */
  stop?(ctx: Context<Config>): unknown;
  /** Asked at every probe; a throw or `false` makes the replica unhealthy. */
  health?(ctx: Context<Config>): unknown;
}

/** A definition with its kind: what the entry file exports by default. */
export type Workload<Config = Record<string, Json>> = Definition<Config> & {
  readonly kind: 'agent' | 'service';
  /** Version of this door, so that a node can refuse what it does not understand. */
  readonly api: 1;
};

/**
 * Declares an agent: a workload that acts on its own account, on calls, messages or the clock.
 * @example
 * export default defineAgent({
 *   capabilities: { 'greeting.say': { handle: ({ name }: { name: string }) => ({ text: `Hello, ${name}!` }) } },
 * });
 * @throws TypeError naming the field that is not what it should be
 */
export function defineAgent<Config = Record<string, Json>>(definition: Definition<Config>): Workload<Config> {
  return define('agent', definition);
}

/** Declares a service: a workload that only answers calls. The same shape as an agent; the kind is for the operator's eyes and policies. */
export function defineService<Config = Record<string, Json>>(definition: Definition<Config>): Workload<Config> {
  return define('service', definition);
}

function define<Config>(kind: 'agent' | 'service', definition: Definition<Config>): Workload<Config> {
  if (definition === null || typeof definition !== 'object') {
    throw new TypeError(`${kind} definition: expected an object, found ${definition === null ? 'null' : typeof definition}`);
  }
  const { capabilities } = definition;
  if (capabilities === null || typeof capabilities !== 'object') {
    throw new TypeError('capabilities: expected an object of capability name to { handle }');
  }
  for (const [name, capability] of Object.entries(capabilities)) {
    if (typeof capability?.handle !== 'function') throw new TypeError(`capabilities["${name}"].handle: expected a function`);
  }
  for (const [subject, handler] of Object.entries(definition.subscribe ?? {})) {
    if (typeof handler !== 'function') throw new TypeError(`subscribe["${subject}"]: expected a function`);
  }
  for (const [name, entry] of Object.entries(definition.schedule ?? {})) {
    if (typeof entry?.run !== 'function') throw new TypeError(`schedule["${name}"].run: expected a function`);
    if ((entry.every === undefined) === (entry.cron === undefined)) {
      throw new TypeError(`schedule["${name}"]: expected either "every" or "cron"`);
    }
  }
  return Object.freeze({ ...definition, kind, api: 1 as const });
}
