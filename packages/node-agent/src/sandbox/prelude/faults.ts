/**
 * Errors as data: what a guest threw, described inside the timed call and cut to size. Reading a thrown value runs guest code (getters,
 * proxies, `toString`), so it must never happen outside.
 */
import type { GuestFault } from '../protocol.ts';
import { defineProperty, SafeString, slice, stringify } from './primordials.ts';

const MESSAGE = 4096;
const STACK = 8192;

const text = (value: unknown, most: number): string => slice(typeof value === 'string' ? value : SafeString(value), 0, most);

/** Message and stack of whatever was thrown. Never throws; may run guest code. */
export function describe(thrown: unknown): { detail: string; stack: string } {
  try {
    if ((typeof thrown === 'object' && thrown !== null) || typeof thrown === 'function') {
      const { name, message, stack } = thrown as Error;
      const said = message === undefined ? '' : text(message, MESSAGE);
      const called = typeof name === 'string' && name !== 'Error' ? `${text(name, 100)}: ` : '';
      return {
        detail: `${called}${said === '' ? 'no message' : said}`,
        stack: typeof stack === 'string' ? text(stack, STACK) : '',
      };
    }
    return { detail: text(thrown, MESSAGE), stack: '' };
  } catch {
    return { detail: 'an error that cannot be read', stack: '' };
  }
}

/** The field a handler refused the input for (the author's door calls it InputError). Never throws; may run guest code. */
export function refusedField(thrown: unknown): string | undefined {
  try {
    if (typeof thrown !== 'object' || thrown === null) return undefined;
    const { code, path } = thrown as { readonly code?: unknown; readonly path?: unknown };
    return code === 'invalid-input' && typeof path === 'string' ? slice(path, 0, 200) : undefined;
  } catch {
    return undefined;
  }
}

/** A fault as the daemon reads it. Put together from strings, since a guest may have given every object a `toJSON`. */
export function faultText(code: string, detail: string, stack = '', issues?: GuestFault['issues']): string {
  let text = `{"code":"${code}","detail":${stringify(detail)}`;
  if (stack !== '') text += `,"stack":${stringify(stack)}`;
  if (issues !== undefined) {
    let list = '';
    for (let i = 0; i < issues.length; i += 1) {
      const { path, message } = issues[i]!;
      list += `${i === 0 ? '' : ','}{"path":${stringify(path)},"message":${stringify(message)}}`;
    }
    text += `,"issues":[${list}]`;
  }
  return `${text}}`;
}

/** What a failed host call throws in the guest: an Error with CIM's code. */
export function callError(code: string, detail: string, retry: boolean): Error {
  const error = new Error(detail) as Error & { code: string; retry: boolean };
  defineProperty(error, 'name', { value: 'CallError', configurable: true, writable: true });
  error.code = code;
  error.retry = retry;
  return error;
}
