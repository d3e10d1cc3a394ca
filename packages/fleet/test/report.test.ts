/** What a person sees and what a program reads. */
import { describe, expect, test } from 'vitest';
import { duration, fit, jsonReport, StepFailure, screenReport, size } from '../src/demo/report.ts';

const screen = (isTty: boolean, colour: boolean) => {
  let text = '';
  const report = screenReport({ write: (more) => (text += more), isTty, colour, width: 80 });
  return { report, text: () => text };
};

describe('on a screen', () => {
  test('without a terminal there is no escape in the text, and each step is one line', async () => {
    const { report, text } = screen(false, false);
    await report.step(
      'hub',
      async () => 'nats://127.0.0.1:4222',
      (url) => url,
    );
    report.section('Answers', 'in short');
    report.line('one', 12);
    report.table(['a', 'b'], [['1', '2']]);
    expect(text()).not.toContain('\u001b');
    expect(text().split('\n')[0]).toMatch(/^ {2}✓ hub +nats:\/\/127\.0\.0\.1:4222 +\d+ ms$/);
  });

  test('on a terminal the step that runs is shown and replaced', async () => {
    const { report, text } = screen(true, true);
    const held = Promise.withResolvers<void>();
    const step = report.step(
      'registry',
      () => held.promise,
      () => 'up',
    );
    expect(text()).toContain('registry');
    expect(text()).not.toContain('✓');
    held.resolve();
    await step;
    expect(text()).toContain('\r\u001b[2K');
    expect(text()).toContain('✓');
  });

  test('a step that fails is marked, and its reason goes on', async () => {
    const { report, text } = screen(false, false);
    const failing = report.step('deploy', () => Promise.reject(new StepFailure('deploy', 'ready', 'failed')), String);
    await expect(failing).rejects.toThrow('deploy: expected ready, found failed');
    expect(text()).toBe('  ✗ deploy\n');
  });

  test('no line is wider than the screen', async () => {
    const { report, text } = screen(false, false);
    report.line('x'.repeat(300), 1234);
    for (const line of text().split('\n')) expect(line.length).toBeLessThanOrEqual(80);
    expect(text()).toContain('…');
    expect(text()).toContain('1.2 s');
  });
});

test('as JSON every line is an object and nothing else is written', async () => {
  let text = '';
  const report = jsonReport((more) => (text += more));
  report.section('ignored');
  await report.step(
    'hub',
    async () => 1,
    () => 'up',
  );
  report.line('ignored');
  report.fact('greeting', { text: 'Hello' });
  report.note('a note');
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toEqual([
    { kind: 'step', step: 'hub', ok: true, ms: expect.any(Number), detail: 'up' },
    { kind: 'greeting', text: 'Hello' },
    { kind: 'note', text: 'a note' },
  ]);
});

test('lengths, sizes, widths', () => {
  expect([duration(0.4), duration(999), duration(1_000), duration(61_234)]).toEqual(['0 ms', '999 ms', '1.0 s', '61.2 s']);
  expect([size(1), size(15_360), size(1_879_040)]).toEqual(['1 kB', '16 kB', '1.9 MB']);
  expect(fit('\u001b[31mabc\u001b[39m', 5)).toBe('\u001b[31mabc\u001b[39m  ');
  expect(fit('\u001b[31mabcdef\u001b[39m', 4)).toBe('\u001b[31mabc…\u001b[39m');
  expect([fit('ab', 4), fit('abcdef', 4), fit('äöü😀x', 4)]).toEqual(['ab  ', 'abc…', 'äöü…']);
});
