/**
 * The parts of the platform that are loaded when first used: scripts of their own, compiled by the cell and run in the isolate the
 * moment something needs them. Most workloads use few, and each costs time and memory.
 *
 * Promises:
 * P1. A part runs whole or not at all: one that was interrupted while it loaded is loaded anew by the next use.
 * P2. What a part is given (`Given`) is the wrapper's own; what a guest did to globals before changes nothing in it. A part decides
 *     nothing the daemon relies on: a guest that bends the language under a part harms itself only.
 * P3. While a part loads, the globals it makes look absent: a library that asks whether the machine has them must not be given the very
 *     thing it is about to make.
 */
import { bare } from './primordials.ts';

/** Part to the globals it makes. The file of a part is `library/<name>.ts`. */
export const PARTS = {
  schema: [],
  encoding: ['TextEncoder', 'TextDecoder', 'TextEncoderStream', 'TextDecoderStream', 'atob', 'btoa'],
  events: ['Event', 'EventTarget', 'CustomEvent', 'ErrorEvent', 'PromiseRejectionEvent', 'AbortController', 'AbortSignal'],
  messages: ['MessageEvent', 'MessageChannel', 'MessagePort'],
  clone: ['structuredClone'],
  url: ['URL', 'URLSearchParams'],
  idna: [],
  pattern: ['URLPattern'],
  streams: [
    'ReadableStream',
    'ReadableStreamDefaultReader',
    'ReadableStreamBYOBReader',
    'ReadableStreamDefaultController',
    'ReadableByteStreamController',
    'ReadableStreamBYOBRequest',
    'WritableStream',
    'WritableStreamDefaultWriter',
    'WritableStreamDefaultController',
    'TransformStream',
    'TransformStreamDefaultController',
    'ByteLengthQueuingStrategy',
    'CountQueuingStrategy',
  ],
  compression: ['CompressionStream', 'DecompressionStream'],
  fetch: ['Blob', 'File', 'FormData', 'Headers', 'Request', 'Response', 'fetch'],
  subtle: ['SubtleCrypto', 'CryptoKey'],
  ciphers: [],
  curves: [],
} as const satisfies Record<string, readonly string[]>;

export type PartName = keyof typeof PARTS;

/** What every part is given. */
export interface Given {
  readonly part: (name: PartName) => any;
  /** The part when it has been loaded: what a guest holds of it can only have come from there. */
  readonly loaded: (name: PartName) => any;
  readonly DOMException: typeof globalThis.DOMException;
  readonly setTimeout: (fire: () => void, ms: number) => number;
  /** Fills with bytes of the host. At most 64 KiB. */
  readonly random: (array: Uint8Array) => Uint8Array;
  /** Asks the daemon on nobody's call. */
  readonly ask: (operation: string, args: readonly unknown[]) => Promise<any>;
  /** Tells the author of an error nobody caught. */
  readonly failed: (where: string, error: unknown) => void;
}

type Load = (name: string) => (given: Given) => unknown;

const held = bare<unknown>();
const loading = bare<true>();
let load: Load;
let given: Given;

/** @param from compiles a part: the cell's */
export function openParts(from: Load): void {
  load = from;
}
/** To be called before the first part is used. */
export function giveParts(what: Omit<Given, 'part' | 'loaded'>): void {
  given = { ...what, part, loaded: (name) => held[name] };
}

/** What a part exports (P1, P3). */
export function part(name: PartName): any {
  if (held[name] !== undefined) return held[name];
  if (loading[name] === true) throw new Error(`part ${name} needs itself`);
  loading[name] = true;
  try {
    const made = load(name)(given);
    held[name] = made;
    return made;
  } finally {
    delete loading[name];
  }
}

export const isLoading = (name: PartName): boolean => loading[name] === true;
