/**
 * Quantities as people write them, parsed once and rendered back.
 *
 * Promises:
 * Q1. `parse(render(x)) === x` for every value a parser can return.
 * Q2. What is not a quantity is refused with what was found and what was expected; nothing is guessed.
 * Grammar: cpu as in Kubernetes (`"2"`, `"500m"`), bytes with IEC (`Ki Mi Gi Ti`) or SI (`k M G T`, with or without `B`)
 * suffixes as in Kubernetes and Nix guides (`"4Gi"`, `"64GB"`), time as `ms s m h d`.
 */
import { z } from 'zod';

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
};
const TIME_UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Bytes of `"4Gi"`, `"64GB"`, `"1048576"` or a whole number. @returns undefined when it is none */
export function parseBytes(text: string | number): number | undefined {
  if (typeof text === 'number') return Number.isSafeInteger(text) && text >= 0 ? text : undefined;
  const match = /^(\d{1,16}(?:\.\d{1,6})?)([A-Za-z]{0,3})$/.exec(text);
  const unit = match && Object.hasOwn(BYTE_UNITS, match[2]!) ? BYTE_UNITS[match[2]!] : undefined;
  if (!match || unit === undefined) return undefined;
  const bytes = Number(match[1]) * unit;
  // Part of a byte is a slip; part of a "Gi" is meant, and the nearest byte is what is meant by it.
  if (unit === 1 && !Number.isInteger(bytes)) return undefined;
  return Number.isSafeInteger(Math.round(bytes)) ? Math.round(bytes) : undefined;
}

/** The shortest exact text: `4Gi`, `64GB`, `1536Ki`, `1000001`. */
export function renderBytes(bytes: number): string {
  for (const unit of ['Ti', 'Gi', 'Mi', 'Ki', 'TB', 'GB', 'MB', 'kB']) {
    const size = BYTE_UNITS[unit]!;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}`;
}

/** A million cores: far beyond any machine, and short of what `render` writes in nine digits. */
const MOST_MILLI_CPU = 999_999_999;

/** Thousandths of a core of `"2"`, `"0.5"`, `"500m"` or a number of cores. @returns undefined when it is none */
export function parseCpu(text: string | number): number | undefined {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(m?)$/.exec(`${text}`);
  if (!match) return undefined;
  const milli = match[2] ? Number(match[1]) : Number(match[1]) * 1000;
  const whole = Math.round(milli);
  return Math.abs(whole - milli) < 1e-6 && whole <= MOST_MILLI_CPU ? whole : undefined;
}

/** `2`, `500m`. */
export function renderCpu(milli: number): string {
  return milli % 1000 === 0 ? `${milli / 1000}` : `${milli}m`;
}

/** Milliseconds of `"30m"`, `"500ms"`, `"1h30m"`. @returns undefined when it is none */
export function parseDuration(text: string): number | undefined {
  if (!/^(?:\d{1,12}(?:ms|s|m|h|d))+$/.test(text)) return undefined;
  let total = 0;
  let last = Number.POSITIVE_INFINITY;
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    const size = TIME_UNITS[unit!]!;
    if (size >= last) return undefined; // "1m1h" and "1s1s" are more likely a slip than a wish.
    last = size;
    total += Number(count) * size;
  }
  return Number.isSafeInteger(total) ? total : undefined;
}

/** `1h30m`, `500ms`, `0ms`. */
export function renderDuration(ms: number): string {
  if (ms === 0) return '0ms';
  let rest = ms;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const size = TIME_UNITS[unit]!;
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

const quantity = <T extends string | number>(
  input: z.ZodType<T>,
  parse: (text: T) => number | undefined,
  expected: string,
  title: string,
  example: string,
) =>
  input
    .refine((text) => parse(text) !== undefined, {
      error: (issue) => `expected ${expected}, found ${JSON.stringify(issue.input)?.slice(0, 60)}`,
    })
    .meta({ title, examples: [example] });

const textOrNumber = z.union([z.string(), z.number()]);

/** Schema of a byte quantity; stays text, see {@link parseBytes}. */
export const Bytes = quantity(textOrNumber, parseBytes, 'an amount of bytes such as "4Gi", "512Mi" or "64GB"', 'size', '4Gi');
/** Schema of a cpu quantity; stays text, see {@link parseCpu}. */
export const Cpu = quantity(textOrNumber, parseCpu, 'cores such as "2", "0.5" or "500m"', 'cores', '500m');
/** Schema of a length of time; stays text, see {@link parseDuration}. */
export const DurationText = quantity(
  z.string(),
  parseDuration,
  'a length of time such as "500ms", "30s", "5m" or "1h30m"',
  'time',
  '30s',
);

/** Bytes of a value a schema has let through. */
export const bytesOf = (text: string | number): number => parseBytes(text)!;
/** Thousandths of a core of a value a schema has let through. */
export const milliCpuOf = (text: string | number): number => parseCpu(text)!;
/** Milliseconds of a value a schema has let through. */
export const msOf = (text: string): number => parseDuration(text)!;
