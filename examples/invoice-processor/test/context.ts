/** A context in memory: a key-value store with revisions, and what was emitted, logged and counted. */
import type { Context, Json } from '@cim/alchemist/agent';
import type { Config } from '../src/main.ts';

export interface Emitted {
  readonly type: string;
  readonly data: Record<string, Json>;
}

export function contextInMemory(config: Partial<Config> = {}) {
  const stored = new Map<string, { value: Json; revision: number }>();
  const emitted: Emitted[] = [];
  const counted: Record<string, number> = {};
  const failing = { emit: false };
  let revision = 0;
  const write = (key: string, value: Json): number => {
    revision += 1;
    // As over the wire: what is stored is a copy, and `undefined` does not survive.
    stored.set(key, { value: JSON.parse(JSON.stringify(value)), revision });
    return revision;
  };
  const refuse = () => Promise.reject(new Error('not granted'));
  const ctx: Context<Config> = {
    workload: { kind: 'service', name: 'invoice-processor', version: '1.0.0', instance: 'cim-a', replica: 0 },
    config: { maxCharacters: 4_000_000, maxViolations: 500, profile: 'auto', ...config },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: {
      increment(name, by = 1) {
        counted[name] = (counted[name] ?? 0) + by;
      },
      gauge() {},
      observe() {},
    },
    kv: {
      get: async (key) => stored.get(key)?.value as never,
      entry: async (key) => stored.get(key) as never,
      put: async (key, value) => write(key, value),
      create: async (key, value) => (stored.has(key) ? undefined : write(key, value)),
      update: async (key, value, at) => (stored.get(key)?.revision === at ? write(key, value) : undefined),
      delete: async (key) => void stored.delete(key),
      keys: async (prefix = '') => [...stored.keys()].filter((key) => key.startsWith(prefix)).sort(),
    },
    emit: async (type, data) => {
      if (failing.emit) throw new Error('the stream did not answer');
      emitted.push({ type, data: JSON.parse(JSON.stringify(data)) });
    },
    assets: { text: refuse, bytes: refuse },
    secrets: { get: refuse },
    publish: refuse,
    call: refuse,
  };
  return { ctx, stored, emitted, counted, failing };
}
