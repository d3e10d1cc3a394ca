/** The handlers: what is remembered, what is told, and who wins a race. */
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { build, transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { type Claim, lease } from '../src/duplicates.ts';
import service, { process, validate } from '../src/main.ts';
import { contextInMemory } from './context.ts';
import { edit, sample } from './samples.ts';

const xml = sample('invoice-two-rates');

describe('invoice.process', () => {
  it('accepts once, tells once, and knows it the second time', async () => {
    const { ctx, emitted, counted } = contextInMemory();
    const first = await process({ xml, source: 'mail/17' }, ctx, { id: 'call-1' });
    expect(first).toMatchObject({ outcome: 'accepted', source: 'mail/17', duplicate: { state: 'first' }, verdict: 'valid' });
    const second = await process({ xml }, ctx, { id: 'call-2' });
    expect(second).toMatchObject({
      outcome: 'duplicate',
      reason: 'duplicate',
      duplicate: { state: 'duplicate', firstCall: 'call-1' },
    });
    expect(emitted.map(({ type }) => type)).toEqual(['invoice.accepted', 'invoice.duplicate']);
    expect(emitted[0]!.data).toMatchObject({
      id: '2025-00417',
      payable: '1227.77',
      currency: 'EUR',
      source: 'mail/17',
      errors: 0,
      rules: [],
    });
    expect(counted).toEqual({ processed_accepted: 1, processed_duplicate: 1 });
  });

  it('sees the same document behind other bytes, and another document behind the same number', async () => {
    const { ctx, emitted } = contextInMemory();
    await process({ xml }, ctx, { id: '1' });
    const rewritten = xml
      .replaceAll('cbc:', 'b:')
      .replaceAll(':cbc', ':b')
      .replaceAll('\n', '\r\n  ')
      .replace('?>', '?><!-- again -->');
    expect(await process({ xml: rewritten }, ctx, { id: '2' })).toMatchObject({ outcome: 'duplicate' });
    const changed = edit(xml, 'Lieferung frei Haus', 'Lieferung unfrei');
    expect(await process({ xml: changed }, ctx, { id: '3' })).toMatchObject({
      outcome: 'rejected',
      reason: 'conflict',
      verdict: 'valid',
      duplicate: { state: 'conflict', firstCall: '1' },
    });
    expect(emitted.at(-1)).toMatchObject({ type: 'invoice.rejected', data: { reason: 'conflict' } });
  });

  it('rejects what breaks a rule and does not remember it, so that it can be mended and sent again', async () => {
    const { ctx, emitted, stored } = contextInMemory();
    const wrong = edit(xml, '>1227.77</cbc:PayableAmount>', '>1227.00</cbc:PayableAmount>');
    expect(await process({ xml: wrong }, ctx, { id: '1' })).toMatchObject({
      outcome: 'rejected',
      reason: 'violations',
      duplicate: { state: 'first' },
    });
    expect(emitted).toEqual([expect.objectContaining({ type: 'invoice.rejected' })]);
    expect(emitted[0]!.data).toMatchObject({ rules: ['BR-CO-16'], errors: 1 });
    expect(stored.size).toBe(0);
    expect(await process({ xml }, ctx, { id: '2' })).toMatchObject({ outcome: 'accepted' });
  });

  it('of twenty at the same time exactly one is the first', async () => {
    const { ctx, emitted } = contextInMemory();
    const results = await Promise.all(Array.from({ length: 20 }, (_, index) => process({ xml }, ctx, { id: `${index}` })));
    expect(results.filter(({ outcome }) => outcome === 'accepted')).toHaveLength(1);
    expect(emitted.filter(({ type }) => type === 'invoice.accepted')).toHaveLength(1);
    expect(emitted).toHaveLength(20);
  });

  it('takes over a claim whose owner fell over before it told, but not a fresh one', async () => {
    const { ctx, stored, emitted } = contextInMemory();
    await process({ xml }, ctx, { id: '1' });
    const [key, entry] = [...stored][0]!;
    const left = entry.value as Claim;
    await ctx.kv.put(key, { ...left, announced: false });
    expect(await process({ xml }, ctx, { id: '2' })).toMatchObject({ outcome: 'duplicate' });
    await ctx.kv.put(key, { ...left, announced: false, at: Date.now() - lease - 1 });
    const both = await Promise.all([process({ xml }, ctx, { id: '3' }), process({ xml }, ctx, { id: '4' })]);
    expect(both.map(({ outcome }) => outcome).sort()).toEqual(['accepted', 'duplicate']);
    expect(emitted.filter(({ type }) => type === 'invoice.accepted')).toHaveLength(2);
  });

  it('gives the claim back when it cannot tell', async () => {
    const { ctx, stored, failing } = contextInMemory();
    failing.emit = true;
    await expect(process({ xml }, ctx, { id: '1' })).rejects.toThrow('the stream did not answer');
    expect(stored.size).toBe(0);
    failing.emit = false;
    expect(await process({ xml }, ctx, { id: '2' })).toMatchObject({ outcome: 'accepted' });
  });

  it('refuses what is no invoice, without a trace', async () => {
    const { ctx, stored, emitted } = contextInMemory();
    await expect(process({ xml: sample('refused/external-entity') }, ctx, { id: '1' })).rejects.toMatchObject({
      code: 'invalid-input',
      path: 'xml',
    });
    expect([stored.size, emitted.length]).toEqual([0, 0]);
  });
});

it('invoice.validate leaves no trace and answers the same each time', () => {
  const { ctx, stored, emitted } = contextInMemory();
  const first = validate({ xml: sample('credit-note') }, ctx);
  expect(first).toMatchObject({ verdict: 'valid', document: { kind: 'credit-note', id: '2025-00422' } });
  expect(validate({ xml: sample('credit-note') }, ctx)).toEqual(first);
  expect([stored.size, emitted.length]).toEqual([0, 0]);
});

it('asks for what the guide deploys it with', () => {
  expect(service).toMatchObject({
    kind: 'service',
    name: 'invoice-processor',
    resources: { cpu: '2', memory: '4Gi' },
    grants: { kv: true },
  });
  expect(Object.keys(service.capabilities)).toEqual(['invoice.validate', 'invoice.process']);
});

it('runs as one bundled file with nothing but what an isolate has', async () => {
  const bundled = await build({
    entryPoints: [fileURLToPath(new URL('../src/main.ts', import.meta.url))],
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
  const globals = {
    console,
    setTimeout,
    clearTimeout,
    queueMicrotask,
    TextEncoder,
    TextDecoder,
    URL,
    atob,
    btoa,
    structuredClone,
  };
  const definition = vm.runInContext(
    `${code};bundle.default`,
    vm.createContext(globals, { codeGeneration: { strings: false, wasm: false } }),
  );
  const { ctx, emitted } = contextInMemory();
  const answer = await definition.capabilities['invoice.process'].handle({ xml }, ctx, { id: '1' });
  expect(answer).toMatchObject({ outcome: 'accepted', totals: { payable: '1227.77' } });
  expect(emitted).toHaveLength(1);
});
