/**
 * XML text to a tree with namespaces resolved and a path on every element.
 *
 * Promises:
 * X1. Prefixes do not matter: an element is known by namespace and local name, written `cbc:ID`, `cac:Party` here
 *     whatever the document calls them.
 * X2. `path` finds the element again: `/Invoice/InvoiceLine[2]/LineExtensionAmount`. The index stands where there are several.
 * X3. Only the five predefined entities and character references are decoded; anything else is refused.
 */

import { InputError } from '@cim/alchemist/agent';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { admit } from './prolog.ts';

export interface Element {
  /** `cac:…`, `cbc:…`, the bare local name of the root, or `{namespace}local` for anything else. */
  readonly tag: string;
  readonly local: string;
  readonly namespace: string;
  readonly path: string;
  /** The character data directly inside, trimmed. */
  readonly text: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly Element[];
}

/** Deepest nesting of elements. UBL invoices stay below 12. */
const deepest = 64;
const known: Readonly<Record<string, string>> = {
  'urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2': 'cac:',
  'urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2': 'cbc:',
};
const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };

type Raw = { readonly [key: string]: unknown };
type Scope = ReadonlyMap<string, string>;

/** @throws InputError when the text is not well-formed XML, declares a document type, or nests too deep */
export function parseXml(source: string): Element {
  const xml = source.replace(/^\ufeff/, '');
  admit(xml);
  const verdict = XMLValidator.validate(xml);
  if (verdict !== true) {
    throw new InputError('xml', `not well-formed at line ${verdict.err.line}: ${verdict.err.msg} Expected a UBL 2.1 document`);
  }
  let nodes: Raw[];
  try {
    const parser = new XMLParser({
      preserveOrder: true,
      ignoreAttributes: false,
      attributeNamePrefix: '@',
      parseTagValue: false,
      trimValues: false,
      processEntities: false,
      ignoreDeclaration: true,
      ignorePiTags: true,
      cdataPropName: '#cdata',
      maxNestedTags: deepest,
      jPath: false,
    });
    nodes = parser.parse(xml) as Raw[];
  } catch (error) {
    throw new InputError('xml', `not readable: ${error instanceof Error ? error.message : String(error)}`);
  }
  const [root, second] = nodes.filter((node) => nameOf(node) !== '#text');
  if (root === undefined) throw new InputError('xml', 'found no element. Expected a UBL 2.1 Invoice or CreditNote');
  if (second !== undefined)
    throw new InputError('xml', `not well-formed: <${nameOf(second)}> stands behind the end of the root element`);
  return element(root, '', '', new Map([['xml', 'http://www.w3.org/XML/1998/namespace']]));
}

function nameOf(node: Raw): string {
  return Object.keys(node).find((key) => key !== ':@') ?? '#text';
}

function element(node: Raw, parent: string, index: string, outer: Scope): Element {
  const qualified = nameOf(node);
  const { attributes, scope } = attributesOf((node[':@'] ?? {}) as Record<string, string>, outer);
  const { local, namespace } = resolve(qualified, scope);
  const path = `${parent}/${local}${index}`;
  const inner = node[qualified] as readonly Raw[];
  const count = new Map<string, number>();
  const names = inner.map((child) => {
    const name = nameOf(child);
    if (!name.startsWith('#')) count.set(name, (count.get(name) ?? 0) + 1);
    return name;
  });
  const seen = new Map<string, number>();
  const children: Element[] = [];
  let text = '';
  for (const [position, child] of inner.entries()) {
    const name = names[position]!;
    if (name === '#text') text += decode(String(child['#text']));
    else if (name === '#cdata') text += (child['#cdata'] as readonly Raw[]).map((part) => String(part['#text'] ?? '')).join('');
    else {
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      children.push(element(child, path, count.get(name)! > 1 ? `[${nth}]` : '', scope));
    }
  }
  const prefix = known[namespace];
  const tag = prefix !== undefined ? prefix + local : parent === '' ? local : `{${namespace}}${local}`;
  return { tag, local, namespace, path, text: text.trim(), attributes, children };
}

function attributesOf(raw: Record<string, string>, outer: Scope): { attributes: Map<string, string>; scope: Scope } {
  const attributes = new Map<string, string>();
  let scope = outer;
  for (const [key, value] of Object.entries(raw)) {
    const name = key.slice(1);
    const text = decode(value);
    if (name !== 'xmlns' && !name.startsWith('xmlns:')) attributes.set(name, text);
    else scope = new Map(scope).set(name === 'xmlns' ? '' : name.slice(6), text);
  }
  return { attributes, scope };
}

function resolve(qualified: string, scope: Scope): { local: string; namespace: string } {
  const colon = qualified.indexOf(':');
  const prefix = colon === -1 ? '' : qualified.slice(0, colon);
  const namespace = scope.get(prefix);
  if (namespace === undefined && prefix !== '') {
    throw new InputError('xml', `the prefix "${prefix}" of <${qualified}> is not declared. Expected xmlns:${prefix}="…"`);
  }
  return { local: qualified.slice(colon + 1), namespace: namespace ?? '' };
}

/** X3: one pass, nothing decoded twice. */
function decode(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(#x[0-9a-fA-F]{1,6}|#[0-9]{1,7}|[^;&\s]{0,32});?/g, (whole, name: string) => {
    const code = name.startsWith('#x')
      ? Number.parseInt(name.slice(2), 16)
      : name.startsWith('#')
        ? Number(name.slice(1))
        : undefined;
    const decoded = code === undefined ? (Object.hasOwn(named, name) ? named[name] : undefined) : character(code);
    if (decoded === undefined || !whole.endsWith(';')) {
      throw new InputError(
        'xml',
        `the entity "${whole}" is unknown. Only &lt; &gt; &amp; &quot; &apos; and character references are read`,
      );
    }
    return decoded;
  });
}

function character(code: number): string | undefined {
  const allowed =
    code === 9 || code === 10 || code === 13 || (code >= 0x20 && code <= 0xd7ff) || (code >= 0xe000 && code <= 0x10ffff);
  return allowed && code !== 0xfffe && code !== 0xffff ? String.fromCodePoint(code) : undefined;
}

/** All elements a path of tags leads to: `select(root, 'cac:InvoiceLine/cac:Item')`. */
export function select(from: Element, path: string): Element[] {
  let found: Element[] = [from];
  for (const tag of path.split('/')) found = found.flatMap((each) => each.children.filter((child) => child.tag === tag));
  return found;
}

/** The first element a path leads to. */
export function first(from: Element, path: string): Element | undefined {
  return select(from, path)[0];
}

/** The text at a path, `undefined` when absent or empty. */
export function textAt(from: Element, path: string): string | undefined {
  return first(from, path)?.text || undefined;
}
