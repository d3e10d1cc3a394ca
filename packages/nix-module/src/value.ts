/**
 * Data as Nix text. What comes from outside (names, descriptions, passwords' paths) can say nothing but its own value: no quote, `${` or
 * keyword in it can end a string or begin an expression.
 *
 * Promises:
 * V1. Evaluated, the text is the value that went in (property-tested with nix itself), or {@link renderNix} throws naming the place.
 * V2. The same value gives the same text; keys are in order.
 * Source: Nix manual, "String literal", "Attribute set", "Number"; the lexer of nix 2.x for what a float and an identifier are.
 */
import { Fault } from '@cim/contracts';

/** A path literal: rendered bare, so that Nix takes it as a path and not as text. */
export interface NixPath {
  readonly path: string;
  readonly [pathMark]: true;
}
const pathMark: unique symbol = Symbol('nix path');

export type NixValue =
  | null
  | boolean
  | number
  | string
  | NixPath
  | readonly NixValue[]
  | { readonly [name: string]: NixValue | undefined };

/** Words that are no identifiers. `or` is one in some places only; quoting it is always right. */
const KEYWORDS = new Set(['assert', 'else', 'if', 'in', 'inherit', 'let', 'or', 'rec', 'then', 'with']);
/** Smallest float that is not subnormal: Nix' reader takes what is below for out of range. */
const SMALLEST = 2.2250738585072014e-308;
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_'-]*$/;

/**
 * A path for {@link renderNix}, e.g. `./hardware.nix`. Files of the machine that must not be copied into the store are text, not paths.
 * @throws Fault `invalid-input` for what is no plain path
 */
export function nixPath(path: string): NixPath {
  if (!/^(?:\.{1,2}|)\/(?:[A-Za-z0-9._+-]+)(?:\/[A-Za-z0-9._+-]+)*$/.test(path))
    throw new Fault('invalid-input', `path: expected one such as "./hardware.nix", found ${JSON.stringify(path)}`);
  return { path, [pathMark]: true };
}

/** An attribute name, quoted where it must be. */
export const renderName = (name: string): string =>
  IDENTIFIER.test(name) && !KEYWORDS.has(name) ? name : renderString(name, `name ${JSON.stringify(name)}`);

/**
 * @param indent what each line after the first begins with
 * @throws Fault `invalid-input` for what Nix cannot say: NUL, half a character, NaN, a number beyond 2^53
 */
export function renderNix(value: NixValue, indent = '', where = 'value'): string {
  const deeper = `${indent}  `;
  if (value === null) return 'null';
  switch (typeof value) {
    case 'boolean':
      return String(value);
    case 'number':
      return renderNumber(value, where);
    case 'string':
      return renderString(value, where);
    case 'object':
      break;
    default:
      throw cannot(where, `expected data, found ${typeof value}`);
  }
  if (isPath(value)) return value.path;
  if (isList(value)) {
    if (value.length === 0) return '[ ]';
    const items = value.map((item, index) => {
      const text = renderNix(item, deeper, `${where}[${index}]`);
      // In a list a minus sign would be an operator without a left side.
      return `${deeper}${text.startsWith('-') ? `(${text})` : text}\n`;
    });
    return `[\n${items.join('')}${indent}]`;
  }
  const entries = Object.entries(value).filter((entry): entry is [string, NixValue] => entry[1] !== undefined);
  if (entries.length === 0) return '{ }';
  const lines = entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => `${deeper}${renderName(name)} = ${renderNix(item, deeper, `${where}.${name}`)};\n`);
  return `{\n${lines.join('')}${indent}}`;
}

const isPath = (value: object): value is NixPath => Object.hasOwn(value, pathMark);
const isList = (value: object): value is readonly NixValue[] => Array.isArray(value);

function renderString(text: string, where: string): string {
  if (text.includes('\0')) throw cannot(where, 'Nix strings cannot hold a NUL');
  if (!text.isWellFormed()) throw cannot(where, 'expected whole characters, found half of a surrogate pair');
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    // Every dollar: `$${` is a dollar and an open interpolation's beginning is not worth telling apart.
    .replaceAll('$', '\\$')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t');
  return `"${escaped}"`;
}

function renderNumber(value: number, where: string): string {
  if (!Number.isFinite(value)) throw cannot(where, `expected a number, found ${value}`);
  if (Number.isInteger(value)) {
    if (!Number.isSafeInteger(value)) throw cannot(where, `expected an integer of at most 2^53, found ${value}`);
    return Object.is(value, -0) ? '0' : String(value);
  }
  if (Math.abs(value) < SMALLEST) throw cannot(where, `expected a number Nix can read, found ${value}`);
  // Nix wants a dot in a float even where there is an exponent.
  const [mantissa = '', exponent] = String(value).split('e');
  const digits = mantissa.includes('.') ? mantissa : `${mantissa}.0`;
  return exponent === undefined ? digits : `${digits}e${exponent.replace('+', '')}`;
}

const cannot = (where: string, message: string): Fault =>
  new Fault('invalid-input', `${where}: ${message}`, { issues: [{ path: where, message }] });
