/** A context in memory: configuration, and what was counted. Everything that needs a grant refuses. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Context } from '@cim/alchemist/agent';
import type { Config } from '../src/main.ts';

export function contextInMemory(config: Partial<Config> = {}) {
  const counted: Record<string, number> = {};
  const refuse = () => Promise.reject(new Error('not granted'));
  const ctx: Context<Config> = {
    workload: { kind: 'agent', name: 'doc-processor', version: '1.0.0', instance: 'cim-a', replica: 0 },
    config: { maxCharacters: 1_000_000, maxListed: 2000, keyPhrases: 15, ...config },
    log: { debug() {}, info() {}, warn() {}, error() {} },
    metrics: {
      increment(name, by = 1) {
        counted[name] = (counted[name] ?? 0) + by;
      },
      gauge() {},
      observe() {},
    },
    kv: { get: refuse, entry: refuse, put: refuse, create: refuse, update: refuse, delete: refuse, keys: refuse },
    assets: { text: refuse, bytes: refuse },
    secrets: { get: refuse },
    publish: refuse,
    emit: refuse,
    call: refuse,
  };
  return { ctx, counted };
}

const folder = new URL('../samples/', import.meta.url);
export const sample = (file: string): string => readFileSync(new URL(file, folder), 'utf8');
export const sampleFiles = (): string[] => readdirSync(folder);
