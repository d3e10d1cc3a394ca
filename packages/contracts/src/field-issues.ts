/**
 * A schema's complaints as a person reads them: where the wrong field is, what was expected there and what was found.
 *
 * Promises:
 * W1. Every wrong field has a line of its own; a path can be found in the document by eye: `trust.publishers[2].key`.
 * W2. What is found is shown cut short, and not at all where the field's name, or the text itself, says it is a secret.
 */
import type { z } from 'zod';

/** One wrong field: where, what was found, what was expected. */
export interface FieldIssue {
  readonly path: string;
  readonly message: string;
}

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/** Longest piece of a found text that is shown, in characters. */
const SHOWN = 60;
/** Most lines of one document: a document that is wrong in more places is another kind of document. */
const MOST = 100;
const SECRET = /password|passwd|secret|token|seed|credential|authorization/i;
/** A private nkey, put where a public one belongs. */
const SEED = /^S[A-Z][A-Z2-7]{20}/;

/**
 * The issues of a zod error, at most 100.
 * @param value the document that was read, for what was found; without it only what the issues carry themselves is said
 */
export function fieldIssues(error: z.ZodError, value?: unknown): FieldIssue[] {
  const out = error.issues.flatMap((issue) => linesOf(issue, issue.path, value));
  if (out.length <= MOST) return out;
  return [...out.slice(0, MOST), { path: '(whole)', message: `${out.length - MOST} more fields are wrong` }];
}

function linesOf(issue: Issue, path: Path, value: unknown): FieldIssue[] {
  const line = (message: string) => [{ path: pathText(path), message }];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: pathText([...path, key]),
        message: 'unknown key; remove it or check its spelling',
      }));
    case 'invalid_key':
      // The complaint is about the key itself, which the path already shows.
      return line(`the key is not allowed: ${issue.issues.map(({ message }) => message).join('; ')}`);
    case 'invalid_union': {
      const branch = deepest(issue.errors);
      if (branch) return branch.flatMap((inner) => linesOf(inner, [...path, ...inner.path], value));
      const expected = issue.errors
        .flat()
        .map((inner) => (inner.code === 'invalid_type' ? nounOf(inner.expected) : inner.message));
      return line(`expected ${[...new Set(expected)].join(' or ')}, found ${foundAt(value, path)}`);
    }
    default: {
      const expected = expectation(issue);
      return line(/\bfound\b/.test(expected) ? expected : `${expected}, found ${foundAt(value, path)}`);
    }
  }
}

/** The branch of a union that got furthest into the value: the one that was meant. Undefined when all failed at the door. */
function deepest(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return branches.find((issues) => issues.length > 0 && issues.every((issue) => issue.path.length > 0));
}

function expectation(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${nounOf(issue.expected)}`;
    case 'invalid_value':
      return `expected ${issue.values.map((one) => JSON.stringify(one) ?? String(one)).join(' or ')}`;
    case 'too_small':
      return `expected ${amount(issue.origin, issue.minimum, 'at least')}`;
    case 'too_big':
      return `expected ${amount(issue.origin, issue.maximum, 'at most')}`;
    case 'invalid_format':
      if (issue.format === 'base64') return 'expected base64 text';
      if (issue.format === 'datetime') return 'expected a time in UTC such as "2026-01-31T12:00:00Z"';
      return issue.message.startsWith('Invalid') ? `expected text of the form ${issue.pattern ?? issue.format}` : issue.message;
    default:
      return issue.message;
  }
}

function amount(origin: string, limit: number | bigint, bound: string): string {
  const one = Number(limit) === 1;
  if (origin === 'string') return `${bound} ${limit} ${one ? 'character' : 'characters'}`;
  if (origin === 'array' || origin === 'set') return `${bound} ${limit} ${one ? 'entry' : 'entries'}`;
  return `${bound} ${limit}`;
}

const NOUNS: Readonly<Record<string, string>> = {
  object: 'an object',
  record: 'an object',
  array: 'a list',
  int: 'a whole number',
  boolean: 'true or false',
};
const nounOf = (type: string): string => NOUNS[type] ?? `a ${type}`;

function foundAt(value: unknown, path: Path): string {
  let found = value;
  for (const part of path) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, part)) return 'nothing';
    found = (found as Record<PropertyKey, unknown>)[part];
  }
  switch (typeof found) {
    case 'undefined':
      return 'nothing';
    case 'string':
      if (SEED.test(found) || path.some((part) => SECRET.test(String(part)))) return `a text of ${found.length} characters`;
      return found.length <= SHOWN
        ? JSON.stringify(found)
        : `${JSON.stringify(found.slice(0, SHOWN))}… (${found.length} characters)`;
    case 'number':
    case 'boolean':
      return String(found);
    case 'object':
      return found === null ? 'null' : Array.isArray(found) ? `a list of ${found.length}` : 'an object';
    default:
      return `a ${typeof found}`;
  }
}

function pathText(path: Path): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else {
      const key = String(part);
      if (/^[A-Za-z_][\w-]*$/.test(key)) text += text === '' ? key : `.${key}`;
      else text += `[${JSON.stringify(key.length <= SHOWN ? key : `${key.slice(0, SHOWN)}…`)}]`;
    }
  }
  return text === '' ? '(whole)' : text;
}
