/** docs/platform.md says what is in an isolate now. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { interfaces, properties } from './common-api.ts';
import { renderPlatformPage, survey } from './survey.ts';

test('the page is what an isolate shows', async () => {
  const page = readFileSync(new URL('../../docs/platform.md', import.meta.url), 'utf8');
  expect(page.trimEnd()).toBe((await renderPlatformPage()).trimEnd());
});

test('the list is whole, each entry once, and a name that is nowhere is found absent', async () => {
  const names = [...interfaces, ...properties].map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBe(78);
  expect(
    await survey([
      { name: 'NoSuchThing', standard: '' },
      { name: 'URL', standard: '', members: 'href nothing', statics: 'parse never' },
    ]),
  ).toEqual([
    { there: false, missing: [] },
    { there: true, missing: ['nothing', 'never'] },
  ]);
});
