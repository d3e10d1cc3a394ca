/** The handler against a context in memory, and the bundle in a bare context that has only what an isolate has. */
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import type { Context, Json } from '@cim/alchemist/agent';
import { build, transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { greet, languages } from '../src/greetings.ts';
import hello, { type Config, say } from '../src/main.ts';

/** A context in memory that remembers what was logged and counted. */
function contextInMemory(config: Partial<Config> = {}) {
  const logged: { message: string; fields: Record<string, Json> | undefined }[] = [];
  const counted: Record<string, number> = {};
  const note = (message: string, fields?: Record<string, Json>) => void logged.push({ message, fields });
  const refuse = () => Promise.reject(new Error('hello has no grants'));
  const ctx: Context<Config> = {
    workload: { kind: 'agent', name: 'hello', version: '1.0.0', instance: 'cim-a', replica: 0 },
    config: { language: 'en', mark: '!', ...config },
    log: { debug: note, info: note, warn: note, error: note },
    metrics: {
      increment: (name, by = 1) => {
        counted[name] = (counted[name] ?? 0) + by;
      },
      gauge: () => {},
      observe: () => {},
    },
    kv: { get: refuse, entry: refuse, put: refuse, create: refuse, update: refuse, delete: refuse, keys: refuse },
    secrets: { get: refuse },
    publish: refuse,
    assets: { text: refuse, bytes: refuse },
    emit: refuse,
    call: refuse,
  };
  return { ctx, logged, counted };
}

describe('greeting.say', () => {
  it('greets, logs the facts as fields and counts', () => {
    const { ctx, logged, counted } = contextInMemory();
    expect(say({ name: 'Ada' }, ctx)).toEqual({ text: 'Hello, Ada!', language: 'en', from: 'hello@cim-a' });
    expect(logged).toEqual([{ message: 'greeted', fields: { name: 'Ada', language: 'en' } }]);
    expect(counted).toEqual({ greetings: 1 });
  });

  it('takes the default language and the mark from the configuration; the caller wins', () => {
    const { ctx } = contextInMemory({ language: 'fr', mark: ' !' });
    expect(say({ name: 'Ada' }, ctx).text).toBe('Bonjour Ada !');
    expect(say({ name: 'Ada', language: 'de-AT' }, ctx)).toMatchObject({ text: 'Hallo, Ada !', language: 'de' });
  });

  it('answers in English, and says so, when it does not speak the language', () => {
    expect(greet('Ada', 'tlh', '.')).toEqual({ text: 'Hello, Ada.', language: 'en' });
    expect(greet('Ada', 'constructor', '.').language).toBe('en');
  });

  it('names its own defaults and languages in the definition', () => {
    expect(hello).toMatchObject({ kind: 'agent', name: 'hello', config: { language: 'en', mark: '!' } });
    expect(languages).toContain(hello.config?.language);
  });
});

it('runs as one bundled file with nothing but the language around it', async () => {
  const entry = fileURLToPath(new URL('../src/main.ts', import.meta.url));
  const bundled = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['import', 'default'],
    logLevel: 'silent',
  });
  // A vm context evaluates scripts, so the one module is wrapped into a function scope; nothing else changes.
  const { code } = await transform(bundled.outputFiles[0]!.text, { format: 'iife', globalName: 'bundle' });
  const definition = vm.runInContext(
    `${code};bundle.default`,
    vm.createContext({ console }, { codeGeneration: { strings: false, wasm: false } }),
  );
  const { ctx } = contextInMemory();
  expect(definition.capabilities['greeting.say'].handle({ name: 'Grace' }, ctx)).toMatchObject({ text: 'Hello, Grace!' });
});
