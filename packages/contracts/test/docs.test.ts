import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { smallestConfigs } from '../src/docs/config-page.ts';
import {
  channels,
  crossings,
  errorTable,
  eventTypes,
  NodeAgentConfig,
  permissionsOf,
  RegistryConfig,
  renderConfigDoc,
  renderErrorsDoc,
  renderWireDoc,
  TIMEOUT_HEADER,
  topology,
} from '../src/index.ts';

const pages = { 'docs/wire.md': renderWireDoc, 'docs/errors.md': renderErrorsDoc, 'docs/config.md': renderConfigDoc };
/** Text outside of code: what a Markdown reader turns into HTML. */
const prose = (page: string) => page.replace(/```[\s\S]*?```/g, '').replace(/`[^`\n]*`/g, '');

describe.each(Object.entries(pages))('%s', (file, render) => {
  const text = render();

  it('is the same each time it is made (G1)', () => {
    expect(render()).toBe(text);
  });

  it('in the repository is the one the tables make; `npm run docs` writes it', () => {
    expect(readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8')).toBe(`${text.trimEnd()}\n`);
  });

  it('has tables whose rows all have as many cells as their head', () => {
    const cells = (line: string) => line.replace(/\\\|/g, '').split('|').length;
    let width = 0;
    for (const line of text.split('\n')) {
      if (!line.startsWith('|')) width = 0;
      else if (width === 0) width = cells(line);
      else expect([line, cells(line)]).toEqual([line, width]);
    }
  });

  it('has nothing in it that would vanish as HTML, and no piece of a program', () => {
    expect(prose(text)).not.toMatch(/(?<!\\)<\w/);
    expect(text).not.toMatch(/\bundefined\b|\[object|NaN/);
    expect(text.split('\n').filter((line) => /\s$/.test(line))).toEqual([]);
  });
});

describe('the pages hold every row', () => {
  it('of errors', () => {
    const text = renderErrorsDoc();
    for (const [code, row] of Object.entries(errorTable)) {
      const line = text
        .split('\n')
        .find((one) => one.startsWith(`| \`${code}\` |`))
        ?.replaceAll('\\<', '<');
      expect(line).toBe(`| \`${code}\` | ${row.status} | ${row.retry} | ${row.whose} | ${row.title} | ${row.advice} |`);
    }
  });

  it('of the wire', () => {
    const text = renderWireDoc();
    for (const { template, what } of Object.values(channels)) {
      expect(text).toContain(`| \`${template}\` |`);
      expect(text).toContain(what);
    }
    for (const [type, what] of Object.entries(eventTypes)) expect(text).toContain(`| \`${type}\` | ${what} |`);
    for (const { name, what } of Object.values(topology)) {
      expect(text).toContain(`| \`${name}\` |`);
      expect(text.replaceAll('\\<', '<')).toContain(what);
    }
    for (const { subject, answers } of crossings()) expect(text).toContain(`| \`${subject}\` | ${answers} |`);
    expect(text).toContain(TIMEOUT_HEADER);
    const lines = new Set(text.split('\n'));
    for (const party of ['node', 'registry', 'alchemist'] as const) {
      const { publish, subscribe } = permissionsOf(party, 'ID');
      for (const subject of [...publish.allow, ...subscribe.allow])
        expect(lines).toContain(party === 'node' ? subject : subject.replace('$JS.hub.API.', '$JS.API.'));
    }
  });

  it('of permissions: what is said of `$JS.hub.API.` in one sentence is so', () => {
    for (const party of ['node', 'registry', 'alchemist'] as const) {
      const { allow } = permissionsOf(party, 'ID').publish;
      const under = (prefix: string) =>
        allow.filter((subject) => subject.startsWith(prefix)).map((subject) => subject.slice(prefix.length));
      expect(under('$JS.API.')).toEqual(party === 'node' ? [] : under('$JS.hub.API.'));
    }
  });

  it('of the configuration', () => {
    const text = renderConfigDoc();
    const keys = (shape: Record<string, any>, path: string): string[] =>
      Object.entries(shape).flatMap(([key, schema]) => {
        let inner = schema;
        while (inner?.unwrap && !inner.shape && !(inner instanceof z.ZodArray)) inner = inner.unwrap();
        return inner.shape ? keys(inner.shape, `${path}${key}.`) : [`${path}${key}`];
      });
    const all = [...keys(NodeAgentConfig.shape, ''), ...keys(RegistryConfig.shape, '')];
    expect(all.length).toBeGreaterThan(45);
    for (const key of all) expect(text).toContain(key === 'domains' ? '`domains.<name>.enable`' : `| \`${key}\` |`);
  });
});

describe('the examples on the configuration page', () => {
  it('are configurations, and stand there as they are', () => {
    expect(NodeAgentConfig.safeParse(smallestConfigs.nodeAgent).error).toBeUndefined();
    expect(RegistryConfig.safeParse(smallestConfigs.registry).error).toBeUndefined();
    for (const one of Object.values(smallestConfigs)) expect(renderConfigDoc()).toContain(JSON.stringify(one, null, 2));
  });
});
