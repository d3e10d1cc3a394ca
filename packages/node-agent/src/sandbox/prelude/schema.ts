/**
 * Checks values against the manifest's JSON Schemas, inside the isolate: a schema is the author's, so its regular expressions and
 * depths cost the author's time, never the node's.
 */
import { part } from './parts.ts';

type Library = typeof import('@cfworker/json-schema');

export interface Issue {
  readonly path: string;
  readonly message: string;
}

/** Keywords that only repeat what the errors below them say. */
const APPLICATORS = new Set([
  'properties',
  'patternProperties',
  'additionalProperties',
  'items',
  'prefixItems',
  'additionalItems',
  'allOf',
  'if',
  'then',
  'else',
  '$ref',
  'dependentSchemas',
]);
const MOST = 16;

/** @returns what is wrong, or undefined */
export type Check = (value: unknown) => readonly Issue[] | undefined;

let library: Library | undefined;

/** Loads the validator; to be called before guest code, and only where there is a schema: it costs half a millisecond. */
export function loadSchemas(): void {
  library = part('schema') as Library;
}

/** A check of one schema, compiled when it is first used. @throws whatever the schema's own mistakes cause, when first used */
export function checkOf(schema: unknown): Check | undefined {
  if (schema === undefined || schema === true) return undefined;
  let validator: InstanceType<Library['Validator']> | undefined;
  return (value) => {
    validator ??= new library!.Validator(schema as never, '2020-12', false);
    const { valid, errors } = validator.validate(value);
    if (valid) return undefined;
    const issues: Issue[] = [];
    for (const error of errors) {
      if (APPLICATORS.has(error.keyword) && errors.length > 1) continue;
      const message = error.keyword === 'false' ? 'unknown field; remove it or check its spelling' : error.error;
      issues.push({ path: pathOf(error.instanceLocation), message: message.slice(0, 500) });
      if (issues.length === MOST) break;
    }
    return issues.length > 0 ? issues : [{ path: '(whole)', message: 'does not fit the schema' }];
  };
}

/** `#/lines/2/net` as `lines[2].net`. */
function pathOf(pointer: string): string {
  let path = '';
  for (const raw of pointer.split('/').slice(1)) {
    const part = decodeURIComponent(raw).replaceAll('~1', '/').replaceAll('~0', '~');
    if (/^\d+$/.test(part)) path += `[${part}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(part)) path += path === '' ? part : `.${part}`;
    else path += `[${JSON.stringify(part)}]`;
  }
  return path === '' ? '(whole)' : path.slice(0, 300);
}

/** One sentence of the first issues. */
export const sentence = (issues: readonly Issue[]): string =>
  issues
    .slice(0, 5)
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ');
