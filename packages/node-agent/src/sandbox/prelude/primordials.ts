/**
 * What the wrapper needs of the language, taken before guest code runs. The wrapper uses these and plain operators, so that a guest
 * that redefines `JSON.parse` or a prototype's method harms itself only.
 */

export const { parse, stringify } = JSON;
export const { apply } = Reflect;
const { create } = Object;
export const { defineProperty, getPrototypeOf, freeze, keys } = Object;
export const now = Date.now;
export const SafePromise = Promise;
export const SafeString = String;
export const { min, max, floor } = Math;

const bind = Function.prototype.call;
/** `fn` with its `this` as the first argument. */
const free = <F extends (...args: any[]) => any>(fn: F) =>
  bind.bind(fn) as (self: ThisParameterType<F> extends never ? unknown : any, ...args: Parameters<F>) => ReturnType<F>;

export const slice = free(String.prototype.slice) as (self: string, from: number, to?: number) => string;
export const indexOf = free(String.prototype.indexOf) as (self: string, what: string) => number;
export const charCodeAt = free(String.prototype.charCodeAt) as (self: string, at: number) => number;
export const promiseThen = free(Promise.prototype.then) as (
  self: Promise<unknown>,
  ok: (value: unknown) => unknown,
  failed?: (error: unknown) => unknown,
) => Promise<unknown>;

/** An object without a prototype: nothing a guest does to prototypes shows in it. */
export const bare = <T>(): Record<number | string, T | undefined> => create(null);
