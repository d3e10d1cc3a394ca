/** FormData, written and read as multipart/form-data (RFC 7578). */
import { part, random } from '../given.ts';
import { Blob, blobBytes, concat, File } from './blob.ts';

type Value = string | File;

const text = (value: unknown): string => String(value).toWellFormed();

function entryOf(name: string, args: readonly unknown[]): Value {
  const [, value, filename] = args;
  if (!(value instanceof Blob)) {
    if (args.length > 2) throw new TypeError(`FormData: ${name}: a file name belongs to a Blob`);
    return text(value);
  }
  if (value instanceof File && filename === undefined) return value;
  const called = filename === undefined ? 'blob' : text(filename);
  const options = { type: value.type, ...(value instanceof File ? { lastModified: value.lastModified } : {}) };
  return new File([value], called, options);
}
const need = (method: string, args: readonly unknown[], count: number): void => {
  if (args.length < count) throw new TypeError(`FormData.${method}: expected ${count} arguments, found ${args.length}`);
};

export class FormData {
  #entries: [string, Value][] = [];

  constructor(form?: unknown) {
    if (form !== undefined) throw new TypeError('FormData: there are no forms here');
  }
  append(...args: unknown[]): void {
    need('append', args, 2);
    const name = text(args[0]);
    this.#entries.push([name, entryOf(name, args)]);
  }
  delete(...args: unknown[]): void {
    need('delete', args, 1);
    const name = text(args[0]);
    this.#entries = this.#entries.filter(([known]) => known !== name);
  }
  get(...args: unknown[]): Value | null {
    need('get', args, 1);
    const name = text(args[0]);
    return this.#entries.find(([known]) => known === name)?.[1] ?? null;
  }
  getAll(...args: unknown[]): Value[] {
    need('getAll', args, 1);
    const name = text(args[0]);
    return this.#entries.filter(([known]) => known === name).map(([, value]) => value);
  }
  has(...args: unknown[]): boolean {
    need('has', args, 1);
    const name = text(args[0]);
    return this.#entries.some(([known]) => known === name);
  }
  set(...args: unknown[]): void {
    need('set', args, 2);
    const name = text(args[0]);
    const value = entryOf(name, args);
    const at = this.#entries.findIndex(([known]) => known === name);
    if (at === -1) this.#entries.push([name, value]);
    else this.#entries = this.#entries.filter(([known], i) => i <= at || known !== name).with(at, [name, value]);
  }
  forEach(callback: (value: Value, name: string, form: FormData) => void, self?: unknown): void {
    for (const [name, value] of this) callback.call(self, value, name, this);
  }
  *entries(): IterableIterator<[string, Value]> {
    for (let at = 0; at < this.#entries.length; at += 1) yield [...this.#entries[at]!];
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<Value> {
    for (const [, value] of this.entries()) yield value;
  }
  [Symbol.iterator](): IterableIterator<[string, Value]> {
    return this.entries();
  }
}

const lines = (value: string): string => value.replace(/\r\n|\r|\n/g, '\r\n');
const quoted = (value: string): string => value.replace(/\n/g, '%0A').replace(/\r/g, '%0D').replace(/"/g, '%22');

/** The form as a body. */
export function writeForm(form: FormData): { readonly bytes: Uint8Array; readonly type: string } {
  const { utf8 } = part('encoding') as { utf8: (text: string) => Uint8Array };
  const mark = [...random(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const boundary = `----cim-form-${mark}`;
  const pieces: Uint8Array[] = [];
  for (const [name, value] of form) {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${quoted(lines(name))}"`;
    if (typeof value === 'string') pieces.push(utf8(`${head}\r\n\r\n${lines(value)}\r\n`));
    else {
      const type = value.type === '' ? 'application/octet-stream' : value.type;
      pieces.push(utf8(`${head}; filename="${quoted(value.name)}"\r\nContent-Type: ${type}\r\n\r\n`));
      pieces.push(blobBytes(value), utf8('\r\n'));
    }
  }
  pieces.push(utf8(`--${boundary}--\r\n`));
  return { bytes: concat(pieces), type: `multipart/form-data; boundary=${boundary}` };
}

/** Where `what` stands in `bytes` from `at` on, or -1. */
function indexOf(bytes: Uint8Array, what: Uint8Array, at: number): number {
  for (let from = bytes.indexOf(what[0]!, at); from !== -1; from = bytes.indexOf(what[0]!, from + 1)) {
    let same = 1;
    while (same < what.length && bytes[from + same] === what[same]) same += 1;
    if (same === what.length) return from;
  }
  return -1;
}

/** Reads multipart/form-data. @throws TypeError for what is not */
export function readForm(bytes: Uint8Array, boundary: string): FormData {
  const { utf8, utf8Text } = part('encoding') as {
    utf8: (text: string) => Uint8Array;
    utf8Text: (bytes: Uint8Array) => string;
  };
  const wrong = () => new TypeError('formData: the body is not multipart/form-data');
  const form = new FormData();
  const open = utf8(`--${boundary}`);
  const between = utf8(`\r\n--${boundary}`);
  const blank = utf8('\r\n\r\n');
  let at = indexOf(bytes, open, 0);
  if (at === -1) throw wrong();
  at += open.length;
  for (;;) {
    if (bytes[at] === 0x2d && bytes[at + 1] === 0x2d) return form;
    if (bytes[at] !== 0x0d || bytes[at + 1] !== 0x0a) throw wrong();
    const head = indexOf(bytes, blank, at);
    const end = head === -1 ? -1 : indexOf(bytes, between, head + 2);
    if (end === -1) throw wrong();
    const headers = utf8Text(bytes.subarray(at + 2, head)).split('\r\n');
    const field = (name: string) =>
      headers
        .find((line) => line.toLowerCase().startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    const disposition = field('content-disposition') ?? '';
    const parameter = (name: string) => {
      const found = new RegExp(`;\\s*${name}="([^"]*)"`, 'i').exec(disposition)?.[1];
      return found?.replace(/%0A/gi, '\n').replace(/%0D/gi, '\r').replace(/%22/g, '"');
    };
    const name = parameter('name');
    if (!/^form-data\b/i.test(disposition) || name === undefined) throw wrong();
    const body = bytes.subarray(head + 4, Math.max(head + 4, end));
    const filename = parameter('filename');
    if (filename === undefined) form.append(name, utf8Text(body));
    else form.append(name, new File([body], filename, { type: field('content-type') ?? 'text/plain' }));
    at = end + between.length;
  }
}
