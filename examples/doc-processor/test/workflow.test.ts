/** workflow.execute: results in order, texts handed on, and every wrong step named before anything runs. */
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';
import { InputError } from '@cim/alchemist/agent';
import { build, transform } from 'esbuild';
import { describe, expect, it } from 'vitest';
import agent, { executeWorkflow, processDocument } from '../src/main.ts';
import { steps as kinds } from '../src/steps.ts';
import type { Step } from '../src/workflow.ts';
import { contextInMemory, sample } from './context.ts';

const document = { content: sample('cold-storage-runbook.md') };
const { ctx } = contextInMemory();
const run = (...steps: Step[]) => executeWorkflow({ document, steps }, ctx);

describe('workflow.execute', () => {
  it('gives each result with its name and time, in order', async () => {
    const { steps, milliseconds } = await run(
      { use: 'document.process' },
      { use: 'outline', name: 'contents', with: { depth: 2 } },
      { use: 'links', with: { kind: 'external' } },
      { use: 'code', with: { language: 'python' } },
      { use: 'front-matter' },
    );
    expect(steps.map(({ name, use }) => [name, use])).toEqual([
      ['step1', 'document.process'],
      ['contents', 'outline'],
      ['step3', 'links'],
      ['step4', 'code'],
      ['step5', 'front-matter'],
    ]);
    for (const step of steps) expect(Number.isInteger(step.milliseconds) && step.milliseconds >= 0).toBe(true);
    expect(milliseconds).toBeGreaterThanOrEqual(Math.max(...steps.map((step) => step.milliseconds)));
    expect(steps[0]!.result).toEqual(await processDocument(document, ctx));
    expect(steps[1]!.result).toHaveLength(4);
    expect(steps[2]!.result).toMatchObject([
      { href: 'http://gateway.local/' },
      { href: 'https://polar-works.example/contact' },
    ]);
    expect(steps[3]!.result).toMatchObject([{ language: 'python', lines: 3 }]);
  });

  it('hands the text of one step to another', async () => {
    const { steps } = await run(
      { use: 'section', name: 'reset', with: { anchor: 'resetting-a-compressor' } },
      { use: 'statistics', input: 'reset' },
      { use: 'summary', name: 'short', input: 'reset', with: { sentences: 1 } },
      { use: 'statistics', input: 'short' },
      { use: 'key-phrases', input: 'reset', with: { limit: 3 } },
    );
    expect(steps[0]!.result).toMatchObject({
      heading: 'Resetting a compressor',
      text: expect.stringMatching(/^Wait three minutes/),
    });
    expect(steps[1]!.result).toMatchObject({ sentences: 2, paragraphs: 1 });
    expect(steps[3]!.result).toMatchObject({ sentences: 1 });
    expect(steps[4]!.result).toHaveLength(3);
  });

  it('a section holds its subsections and ends at the next of its level', async () => {
    const { steps } = await run({ use: 'section', with: { anchor: 'when-a-cold-room-warms-up' } });
    const { text } = steps[0]!.result as { text: string };
    expect(text).toContain('Resetting a compressor');
    expect(text).toContain('notice board');
    expect(text).not.toContain('What the temperatures mean');
  });

  it('a summary is made of sentences of the document, in their order', async () => {
    const { steps } = await run({ use: 'summary', with: { sentences: 4 } }, { use: 'text' });
    const { sentences } = steps[0]!.result as { sentences: string[] };
    const whole = (steps[1]!.result as { text: string }).text;
    const places = sentences.map((sentence) => whole.indexOf(sentence));
    expect(places).toHaveLength(4);
    expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('every step there is runs on every format', async () => {
    for (const file of ['cold-storage-runbook.md', 'ferry-timetable.html', 'minutes.txt']) {
      const content = sample(file);
      const all: Step[] = Object.keys(kinds)
        .filter((use) => use !== 'section')
        .map((use) => ({ use }));
      expect((await executeWorkflow({ document: { content }, steps: all }, ctx)).steps).toHaveLength(all.length);
    }
  });

  it.each<[what: string, steps: Step[], message: string]>([
    [
      'an unknown step',
      [{ use: 'text' }, { use: 'outlin' }],
      'steps[1].use: found "outlin", there is no such step. Expected one of document.process, outline',
    ],
    ['a name of the prototype', [{ use: 'constructor' }], 'steps[0].use: found "constructor"'],
    [
      'an unknown option',
      [{ use: 'outline', with: { deep: 2 } }],
      'steps[0].with.deep: "outline" has no such option. Expected depth',
    ],
    [
      'a wrong option',
      [{ use: 'outline', with: { depth: 7 } }],
      'steps[0].with.depth: found 7. Expected a whole number from 1 to 6',
    ],
    ['a missing option', [{ use: 'section' }], 'steps[0].with.anchor: "section" needs it'],
    [
      'no such heading',
      [{ use: 'section', with: { anchor: 'nowhere' } }],
      'steps[0].with.anchor: no heading has the anchor "nowhere". Expected one of cold-storage-runbook',
    ],
    [
      'a later step',
      [
        { use: 'statistics', input: 'b' },
        { use: 'text', name: 'b' },
      ],
      'steps[0].input: found "b", no earlier step has this name. Expected "document"',
    ],
    [
      'a step without text',
      [
        { use: 'links', name: 'a' },
        { use: 'statistics', input: 'a' },
      ],
      'steps[1].input: the step "a" makes no text',
    ],
    [
      'a name twice',
      [
        { use: 'text', name: 'a' },
        { use: 'text', name: 'a' },
      ],
      'steps[1].name: "a" is taken',
    ],
  ])('refuses %s', async (_what, steps, message) => {
    await expect(run(...steps)).rejects.toThrow(InputError);
    await expect(run(...steps)).rejects.toThrow(message);
  });

  it('names the document in the workflow when it is too long', async () => {
    const { ctx: small } = contextInMemory({ maxCharacters: 10 });
    await expect(executeWorkflow({ document, steps: [{ use: 'text' }] }, small)).rejects.toThrow(
      /^document\.content: \d+ characters/,
    );
  });
});

it('is the agent of the guide', () => {
  expect(agent).toMatchObject({ kind: 'agent', name: 'doc-processor', configuration: { maxConcurrent: 10, timeout: '5m' } });
  expect(Object.keys(agent.capabilities)).toEqual(['document.process', 'workflow.execute']);
  expect(agent.grants).toBeUndefined();
});

it('runs as one bundled file with nothing but what an isolate has, and answers the same there', async () => {
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
  for (const file of ['cold-storage-runbook.md', 'ferry-timetable.html', 'minutes.txt']) {
    const given = { content: sample(file) };
    const answer = await definition.capabilities['document.process'].handle(given, ctx);
    expect(JSON.parse(JSON.stringify(answer))).toEqual(JSON.parse(JSON.stringify(await processDocument(given, ctx))));
  }
});
