/**
 * Names and their grammar. Each is a branded string: once parsed it is known to be good, so a subject, a KV key or a path
 * built from it cannot be broken out of.
 *
 * Promises:
 * I1. No id contains a NATS wildcard, a dot (capabilities and event types excepted), a slash, whitespace or a control character.
 * I2. An id is at most 63 characters (a DNS label), a capability at most 255.
 */
import { z } from 'zod';
import { systemClock } from './base/time.ts';

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const label = (what: string) =>
  z.string().regex(LABEL, `expected ${what}: 1 to 63 of a-z, 0-9 and "-", not at the ends, e.g. "cim-prod-001"`);

/** An instance, e.g. `cim-prod-001`. `hub` is reserved for what the hub says of itself. */
export const InstanceId = label('an instance id')
  .refine((id) => id !== 'hub', 'the instance id "hub" is reserved for the hub')
  .brand('InstanceId');
export type InstanceId = z.infer<typeof InstanceId>;

export const WorkloadName = label('a workload name').brand('WorkloadName');
export type WorkloadName = z.infer<typeof WorkloadName>;

export const DomainName = label('a domain name').brand('DomainName');
export type DomainName = z.infer<typeof DomainName>;

export const WorkloadKind = z.enum(['agent', 'service']);
export type WorkloadKind = z.infer<typeof WorkloadKind>;

/** What a workload offers to be called: dotted, e.g. `document.process`. */
export const Capability = z
  .string()
  .max(255)
  .regex(
    /^[a-z][a-z0-9-]*(?:\.[a-z][a-z0-9-]*){0,7}$/,
    'expected a capability: one to eight dotted tokens of a-z, 0-9 and "-", e.g. "document.process"',
  )
  .brand('Capability');
export type Capability = z.infer<typeof Capability>;

/** A capability with wildcards (`*` one token, `>` the rest), as grants use it. */
export const CapabilityPattern = z
  .string()
  .max(255)
  .regex(
    /^(?:>|(?:\*|[a-z][a-z0-9-]*)(?:\.(?:\*|[a-z][a-z0-9-]*)){0,7}(?:\.>)?)$/,
    'expected a capability pattern such as "document.*" or "workflow.>"',
  );

/** SHA-256 of a bundle's bytes: `sha256:` and 64 hex digits. */
export const Digest = z
  .string()
  .regex(/^sha256:[0-9a-f]{64}$/, 'expected a digest: "sha256:" and 64 lower-case hex digits')
  .brand('Digest');
export type Digest = z.infer<typeof Digest>;

/** Semantic version without build metadata, e.g. `1.4.0` or `2.0.0-rc.1` (semver.org, section 9). */
export const Version = z
  .string()
  .max(128)
  .regex(
    /^(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?$/,
    'expected a semantic version such as "1.4.0" or "2.0.0-rc.1" (no build metadata)',
  )
  .brand('Version');
export type Version = z.infer<typeof Version>;

/** A name that points at a version, e.g. `stable`. */
export const ChannelName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected a channel name such as "stable"')
  .brand('ChannelName');
export type ChannelName = z.infer<typeof ChannelName>;

/** Public nkey of a publisher (account prefix `A`) or an operator (prefix `O`): base32, 56 characters. */
export const PublicKey = z
  .string()
  .regex(/^[AO][A-Z2-7]{55}$/, 'expected a public nkey: 56 characters that start with "A" (publisher) or "O" (operator)')
  .brand('PublicKey');
export type PublicKey = z.infer<typeof PublicKey>;

/** Event type `<entity>.<event>`, e.g. `agent.deployed`: bounded, so that it can be a metric label. */
export const EventType = z
  .string()
  .max(127)
  .regex(/^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$/, 'expected an event type of two tokens such as "agent.deployed"')
  .brand('EventType');
export type EventType = z.infer<typeof EventType>;

/** A NATS subject or pattern as grants use it. Tokens are printable ASCII without `.`, `*`, `>` inside. */
export const SubjectPattern = z
  .string()
  .max(255)
  .regex(
    /^(?:>|(?:\*|[A-Za-z0-9_$/=+:@~-]+)(?:\.(?:\*|[A-Za-z0-9_$/=+:@~-]+))*(?:\.>)?)$/,
    'expected a NATS subject such as "orders.*.created" or "orders.>"',
  );

/** A secret's or file's plain name. */
export const SecretName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected a secret name such as "smtp-password"');

const TAIL_BYTES = 6;
/** Largest count within a millisecond. */
const MOST = 2 ** 26 - 1;
/** Randomness is taken by the page, as hex: asking for each id alone would cost more than the rest of an id, and every call has one. */
const page = Buffer.alloc(256 * TAIL_BYTES);
let digits = '';
let used = 0;
let lastMs = 0;
/** The first 48 bits of {@link lastMs}, and the version. */
let head = '';
let sequence = 0;

/**
 * Id of an event, a call or a request: UUID version 7 (RFC 9562), so that ids sort by time, those of one process also within it: behind the time
 * stands a counter of 26 bits that begins anywhere in the lower half (section 6.2, method 1), then 48 random bits.
 * Written by hand, since every call has one: the library takes five times as long.
 */
export function newId(): string {
  const now = systemClock.now();
  if (now > lastMs) begin(now);
  else if (++sequence > MOST) begin(lastMs + 1);
  const high = (sequence >>> 14) | 0x7000;
  const low = (sequence & 0x3fff) | 0x8000;
  return `${head}${high.toString(16)}-${low.toString(16)}-${chance()}`;
}

/** The next 48 bits of the page, in hex. */
function chance(): string {
  if (used === digits.length) {
    crypto.getRandomValues(page);
    digits = page.toString('hex');
    used = 0;
  }
  used += 2 * TAIL_BYTES;
  return digits.slice(used - 2 * TAIL_BYTES, used);
}

/** The next millisecond with an id. */
function begin(ms: number): void {
  lastMs = ms;
  const stamp = ms.toString(16).padStart(12, '0');
  head = `${stamp.slice(0, 8)}-${stamp.slice(8)}-`;
  sequence = Number.parseInt(chance().slice(0, 7), 16) & (MOST >>> 1);
}
