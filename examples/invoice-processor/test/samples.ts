/** The sample documents by name, and a small editor for making one rule break at a time. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Limits } from '../src/judgement.ts';

const folder = new URL('../samples/', import.meta.url);

export const limits: Limits = { maxCharacters: 4_000_000, maxViolations: 500, profile: 'auto' };
export const sample = (name: string): string => readFileSync(new URL(`${name}.xml`, folder), 'utf8');
export const sampleNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.xml'))
    .map((file) => file.slice(0, -4));

/** Replaces exactly one occurrence, so that an edit that no longer fits fails the test instead of passing it. */
export function edit(xml: string, from: string | RegExp, to: string): string {
  const edited = xml.replace(from, to);
  if (edited === xml) throw new Error(`nothing matches ${from}`);
  return edited;
}
