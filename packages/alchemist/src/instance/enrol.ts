/** Ordering an enrolment token: what a person writes, checked before it is sent. */
import { decode, type EnrolmentGiven, EnrolmentOrder, Fault } from '@cim/contracts';
import { Duration } from '../duration.ts';
import type { RegistryClient } from '../registry/client.ts';

export interface OrderWords {
  readonly instance: string;
  /** Capability patterns as they were typed; `none` alone for none. */
  readonly serves: readonly string[];
  /** A length of time, e.g. "24h". */
  readonly valid: string;
}

/** @throws Fault `invalid-input` naming the flag, and what the registry says */
export function orderEnrolment(registry: RegistryClient, { instance, serves, valid }: OrderWords): Promise<EnrolmentGiven> {
  return registry.orderEnrolment(
    decode(
      EnrolmentOrder,
      { instance, serves: servesOf(serves), validSeconds: Math.floor(Duration.from(valid, '--valid').milliseconds / 1000) },
      'enrolment',
      'invalid-input',
    ),
  );
}

/** What was typed as a list of patterns: nothing is guessed where nothing was said. @throws Fault `invalid-input` */
export function servesOf(words: readonly string[]): readonly string[] {
  if (words.length === 1 && words[0] === 'none') return [];
  if (words.length > 0) return words;
  const message =
    'expected what the instance may answer, e.g. --serves \'document.*\'; --serves ">" is any, --serves none is none';
  throw new Fault('invalid-input', `--serves: ${message}`, { issues: [{ path: '--serves', message }] });
}
