/**
 * Requests from the registry's own description of itself: every operation, every role, values that nearly fit.
 */
import fc from 'fast-check';
import { anything, around, fitting, type Known, nasty, type Schema, spoiled } from './arbitrary.ts';

interface Parameter {
  readonly in: 'path' | 'query' | 'header';
  readonly name: string;
  readonly required?: boolean;
  readonly schema: Schema;
}
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly body: Content | undefined;
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
  readonly roles: readonly string[];
}

export interface ApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly components: { readonly schemas?: Readonly<Record<string, Schema>> };
}

export function operationsOf(document: ApiDocument): Operation[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => {
      const {
        parameters = [],
        requestBody,
        responses,
      } = operation as {
        parameters?: Parameter[];
        requestBody?: { content: Content };
        responses: Operation['responses'];
      };
      const roles = (operation as { 'x-cim-roles'?: string[] })['x-cim-roles'] ?? [];
      return { method: method.toUpperCase(), path, parameters, body: requestBody?.content, responses, roles };
    }),
  );
}

export interface FuzzRequest {
  readonly operation: Operation;
  readonly role: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | undefined;
}

/** A body that would be taken, at the path and with the headers it is meant for. */
export interface Given {
  /** Made when it is sent; undefined where the operation takes none. */
  readonly make: () => unknown;
  readonly at?: Readonly<Record<string, string>>;
}

export interface Pools extends Known {
  readonly roles: readonly string[];
  /** Bodies and envelopes of bundles, as they are published. */
  readonly bundles: readonly { readonly bytes: Uint8Array; readonly envelope: unknown }[];
  /** Documents that would be taken, to be spoiled: by operation, `PUT /api/v1/desired/{instance}/{kind}/{name}`. */
  readonly bodies: Readonly<Record<string, readonly Given[]>>;
}

/** What a header can carry. */
const clean = (value: unknown): string =>
  String(value)
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 2_000);

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));

/** Requests to one operation, mostly such as get somewhere. */
export function requestsTo(operation: Operation, pools: Pools): fc.Arbitrary<FuzzRequest> {
  const { parameters } = operation;
  const part = (parameter: Parameter) => {
    const good = fitting(parameter.schema, pools, 0);
    const value = fc.oneof({ arbitrary: good, weight: 8 }, { arbitrary: nasty, weight: 1 }, { arbitrary: anything, weight: 1 });
    const missing = parameter.in === 'path' ? 0 : parameter.required ? 1 : 4;
    return fc.oneof({ arbitrary: value.map(asText), weight: 4 }, { arbitrary: fc.constant(undefined), weight: missing });
  };
  const values = fc.tuple(...parameters.map(part));
  const extra = fc.oneof(
    { arbitrary: fc.constant({}), weight: 6 },
    {
      arbitrary: fc.constantFrom<Record<string, string>>(
        { accept: 'text/xml' },
        { 'x-http-method-override': 'DELETE' },
        { 'x-forwarded-for': '127.0.0.1' },
        { 'content-encoding': 'gzip' },
        { origin: 'https://elsewhere.example' },
        { range: 'bytes=0-' },
        { expect: '100-continue' },
        { 'if-match': '"1"', 'if-none-match': '*' },
      ),
      weight: 1,
    },
  );
  return fc
    .record({ values, extra, role: fc.constantFrom(...pools.roles), sent: bodyOf(operation, keyOf(operation), pools) })
    .map(({ values: all, extra: more, role, sent }) =>
      requestOf(operation, role, all, { ...sent, headers: { ...more, ...sent.headers } }),
    );
}

/** Each request that is there to be taken, whole, from somebody who may: what comes first, so that what follows finds something. */
export function meantFor(operation: Operation, pools: Pools): FuzzRequest[] {
  const role = operation.roles.at(-1) ?? 'nobody';
  const [type] = Object.keys(operation.body ?? {});
  if (type !== undefined && type !== 'application/json')
    return pools.bundles.map(({ bytes, envelope }) =>
      requestOf(operation, role, [], { headers: uploadHeaders(envelope), body: bytes }),
    );
  return (pools.bodies[keyOf(operation)] ?? []).map((given) => requestOf(operation, role, [], sentOf(given, type)));
}

const keyOf = ({ method, path }: Operation) => `${method} ${path}`;

function requestOf(operation: Operation, role: string, values: readonly (string | undefined)[], sent: Sent): FuzzRequest {
  let target = operation.path;
  const query = new URLSearchParams();
  const headers: Record<string, string> = { ...sent.headers };
  operation.parameters.forEach((parameter, i) => {
    const value = sent.at?.[parameter.name] ?? values[i];
    if (value === undefined) return;
    if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(value.toWellFormed()));
    else if (parameter.in === 'query') query.append(parameter.name, value.toWellFormed());
    else headers[parameter.name] ??= clean(value);
  });
  const text = query.toString();
  return { operation, role, path: text === '' ? target : `${target}?${text}`, headers, body: sent.body };
}

interface Sent {
  /** Parameters this body is meant for. */
  readonly at?: Readonly<Record<string, string>>;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
}

function bodyOf(operation: Operation, key: string, pools: Pools): fc.Arbitrary<Sent> {
  const [type, content] = Object.entries(operation.body ?? {})[0] ?? [];
  const given = pools.bodies[key] ?? [];
  if (type === undefined) {
    const none: Sent = { headers: {}, body: undefined };
    return fc.constantFrom(none, none, ...given.map((one) => sentOf(one, undefined)));
  }
  const garbage = fc.oneof(
    fc.string({ maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.json({ maxDepth: 4 }),
    fc.constantFrom('', '{', '[]', 'null', '{"__proto__":{}}', '['.repeat(5_000)),
  );
  const types = fc.oneof(
    { arbitrary: fc.constant(type), weight: 12 },
    { arbitrary: fc.constantFrom('text/plain', 'application/xml', 'application/json; charset=latin1', 'nonsense'), weight: 1 },
  );
  const whole = (body: fc.Arbitrary<string | Uint8Array>) =>
    fc.tuple(types, body).map(([said, bytes]) => ({ headers: { 'content-type': said }, body: bytes }));
  if (type !== 'application/json') return fc.oneof(upload(pools), whole(garbage));
  const schema = content?.schema ?? {};
  const made = whole(around(schema, pools).map((value) => JSON.stringify(value) ?? ''));
  const meant = given.map((one) => {
    const whole = fc.constant(undefined).map(() => sentOf(one, type));
    const bad = fc
      .constant(undefined)
      .chain(() => spoiledOf(one.make(), pools))
      .map((value) => sentOf({ ...one, make: () => value }, type));
    return fc.oneof({ arbitrary: whole, weight: 2 }, { arbitrary: bad, weight: 1 });
  });
  return fc.oneof(
    { arbitrary: made, weight: 4 },
    { arbitrary: whole(garbage), weight: 1 },
    ...(meant.length === 0 ? [] : [{ arbitrary: fc.oneof(...meant), weight: 5 }]),
  );
}

const sentOf = ({ make, at }: Given, type: string | undefined): Sent => ({
  ...(at === undefined ? {} : { at }),
  headers: type === undefined ? {} : { 'content-type': type },
  body: type === undefined ? undefined : JSON.stringify(make()),
});

/** A body that would be taken, with one thing changed: somewhere deep inside, or at its top. */
const spoiledOf = (value: unknown, pools: Pools): fc.Arbitrary<unknown> =>
  fc.oneof(
    spoiled(value),
    fc
      .constantFrom(...Object.keys(value as object))
      .chain((key) => anything.map((put) => ({ ...(value as object), [key]: put }))),
    around({ type: 'object', properties: {} }, pools).map((more) => ({ ...(value as object), ...(more as object) })),
  );

const uploadHeaders = (envelope: unknown) => ({
  'content-type': 'application/vnd.cim.bundle',
  'cim-envelope': Buffer.from(JSON.stringify(envelope)).toString('base64'),
});

function upload({ bundles }: Pools): fc.Arbitrary<Sent> {
  const one = fc.constantFrom(...bundles);
  return fc.oneof(
    one.map(({ bytes, envelope }) => ({ headers: uploadHeaders(envelope), body: bytes })),
    fc.tuple(one, fc.nat(), fc.nat(255)).map(([{ bytes, envelope }, at, put]) => {
      const changed = Uint8Array.from(bytes);
      changed[at % changed.length] = put;
      return { headers: uploadHeaders(envelope), body: changed };
    }),
    fc.tuple(one, one).map(([{ bytes }, { envelope }]) => ({ headers: uploadHeaders(envelope), body: bytes })),
    fc
      .tuple(one, fc.nat(200))
      .map(([{ bytes, envelope }, length]) => ({ headers: uploadHeaders(envelope), body: bytes.subarray(0, length) })),
    fc.tuple(one, anything).map(([{ bytes, envelope }, put]) => ({
      headers: uploadHeaders({ ...(envelope as object), signatures: put }),
      body: bytes,
    })),
    fc.tuple(one, nasty).map(([{ bytes }, text]) => ({
      headers: { 'content-type': 'application/vnd.cim.bundle', 'cim-envelope': clean(text) },
      body: bytes,
    })),
  );
}
