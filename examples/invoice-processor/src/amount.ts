/**
 * Exact decimal numbers, as UBL writes them.
 *
 * Promises:
 * D1. Nothing is ever a binary fraction: 0.1 + 0.2 is 0.3.
 * D2. The lexical form is that of xs:decimal, so no exponent, no `NaN`, no thousands separator.
 * D3. Rounding is to two digits, half away from zero, as EN 16931 asks for.
 */
import { Decimal as Base } from 'decimal.js';

/** 60 significant digits: product and quotient of any two numbers this service admits stay exact or far beyond a cent. */
export const Decimal = Base.clone({ precision: 60, rounding: Base.ROUND_HALF_UP, toExpNeg: -80, toExpPos: 80 });
export type Decimal = Base;

export const zero = new Decimal(0);
const hundred = new Decimal(100);

/** The number a text stands for, `undefined` when it is none (D2) or has more than 30 digits. */
export function parseDecimal(text: string): Decimal | undefined {
  if (text.length > 32 || !/^[+-]?(?:\d+\.?\d*|\.\d+)$/.test(text)) return undefined;
  return new Decimal(text.replace(/^\+/, ''));
}

/** Two digits, half away from zero. */
export const round = (value: Decimal): Decimal => value.toDecimalPlaces(2, Base.ROUND_HALF_UP);

/** `12.5` as `12.50`. */
export const money = (value: Decimal): string => (value.isZero() ? '0.00' : value.toFixed(2));

/** A rate or quantity without trailing zeros: `25.0` as `25`. */
export const plain = (value: Decimal): string => value.toFixed();

/** `rate` percent of `value`, unrounded. */
export const percentOf = (value: Decimal, rate: Decimal): Decimal => value.times(rate).dividedBy(hundred);

export const sum = (values: Iterable<Decimal>): Decimal => {
  let total = zero;
  for (const value of values) total = total.plus(value);
  return total;
};
