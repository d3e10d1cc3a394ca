/**
 * THE channel table: every subject CIM speaks on, once. Senders, receivers, permissions and docs derive from the row.
 *
 * Promises:
 * C1. Version and owner stand before the variable part, so that one instance's subjects can be granted by prefix.
 * C2. A subject is built by `subjectOf` and read by `parseSubject`; the two are inverse.
 * Template grammar: literal tokens, `{name}` one token, `{name...}` the rest (one or more tokens).
 */
import { z } from 'zod';
import { AuditEntry } from './audit.ts';
import { CheckReply, CheckRequest, DrainReply, ProbeReply } from './schema/call.ts';
import { CimEvent, LogLine } from './schema/event.ts';
import { LogEntry } from './schema/log-entry.ts';
import { ReadReply, ReadRequest } from './schema/read.ts';
import { NodeStatus } from './schema/status.ts';

/** Parties on the wire. `node` is one instance's node-agent and leaf, `workload` speaks through its node. */
export type Party = 'node' | 'registry' | 'alchemist';

export interface Channel {
  readonly template: string;
  readonly kind: 'event' | 'request' | 'stream';
  readonly payload: z.ZodType;
  readonly reply?: z.ZodType;
  /** Who publishes; `node` only with its own instance in `{instance}` unless `anyInstance`. */
  readonly from: readonly Party[];
  /** Who subscribes, likewise. */
  readonly to: readonly Party[];
  /** A node may publish with another instance's id (calls). */
  readonly anyInstance?: boolean;
  readonly what: string;
}

const AnyJson = z.unknown();

export const channels = {
  event: {
    template: 'cim.v1.evt.{instance}.{entity}.{id}.{event}',
    kind: 'event',
    payload: CimEvent,
    from: ['node'],
    to: ['node', 'alchemist'],
    what: 'An event, live, as an instance says it; kept by the stream CIM_EVENTS of its leaf.',
  },
  eventForward: {
    template: 'cim.v1.fwd.{instance}.{entity}.{id}.{event}',
    kind: 'stream',
    payload: CimEvent,
    from: ['node', 'registry'],
    to: [],
    what: "The same event on its way into the hub's CIM_EVENTS, in order and once, whenever the link allows; stored there under cim.v1.evt.",
  },
  audit: {
    template: 'cim.v1.audit.{phase}',
    kind: 'stream',
    payload: AuditEntry,
    from: ['registry'],
    to: [],
    what: 'One entry of the audit log, intent or outcome, on its way into CIM_AUDIT; refused unless it follows the last one.',
  },
  transparency: {
    template: 'cim.v1.transparency.{type}',
    kind: 'stream',
    payload: LogEntry,
    from: ['registry'],
    to: [],
    what: 'One entry of the transparency log on its way into CIM_LOG; refused unless it follows the last one.',
  },
  call: {
    template: 'cim.v1.call.{capability...}',
    kind: 'request',
    payload: AnyJson,
    reply: AnyJson,
    from: ['alchemist', 'node'],
    to: ['node'],
    what: 'A call to a capability; any instance that offers it answers, a local one first.',
  },
  callAt: {
    template: 'cim.v1.at.{instance}.call.{capability...}',
    kind: 'request',
    payload: AnyJson,
    reply: AnyJson,
    from: ['alchemist', 'node'],
    to: ['node'],
    anyInstance: true,
    what: 'A call to a capability on this instance and no other.',
  },
  status: {
    template: 'cim.v1.cmd.{instance}.status',
    kind: 'request',
    payload: z.unknown(),
    reply: NodeStatus,
    from: ['alchemist'],
    to: ['node'],
    what: 'Asks a node for its status now, past the registry.',
  },
  probe: {
    template: 'cim.v1.cmd.{instance}.probe',
    kind: 'request',
    payload: z.unknown(),
    reply: ProbeReply,
    from: ['alchemist'],
    to: ['node'],
    what: 'Asks whether the node-agent answers.',
  },
  check: {
    template: 'cim.v1.cmd.{instance}.check',
    kind: 'request',
    payload: CheckRequest,
    reply: CheckReply,
    from: ['alchemist'],
    to: ['node'],
    what: 'Runs checks on the node and answers with evidence and what to do.',
  },
  drain: {
    template: 'cim.v1.cmd.{instance}.drain',
    kind: 'request',
    payload: z.strictObject({ drain: z.boolean() }),
    reply: DrainReply,
    from: ['alchemist'],
    to: ['node'],
    what: 'Takes the node out of service (calls go elsewhere, workloads stay) or back in.',
  },
  read: {
    template: 'cim.v1.read.{instance}',
    kind: 'request',
    payload: ReadRequest,
    reply: ReadReply,
    from: ['node'],
    to: ['registry'],
    what: 'A node asks to follow what the hub keeps for it; the registry makes the consumer it then pulls from.',
  },
  log: {
    template: 'cim.v1.log.{instance}.{workload}.{level}',
    kind: 'event',
    payload: LogLine,
    from: ['node'],
    to: ['alchemist'],
    what: "A line of a workload's log, live; not kept.",
  },
} as const satisfies Record<string, Channel>;

export type ChannelName = keyof typeof channels;

type ParamNames<T extends string> = T extends `${string}{${infer P}}${infer Rest}`
  ? (P extends `${infer N}...` ? N : P) | ParamNames<Rest>
  : never;
export type SubjectParams<C extends ChannelName> = { readonly [K in ParamNames<(typeof channels)[C]['template']>]: string };

/** What may stand in for one token of a subject. */
const TOKEN = /^[A-Za-z0-9_-]+$/;
const TAIL = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;

/** The subject of a row. @throws TypeError when a parameter is no clean token: such a value must never reach the wire */
export function subjectOf<C extends ChannelName>(channel: C, params: SubjectParams<C>): string {
  return fill(channel, (name, tail) => {
    const value = (params as Record<string, string>)[name];
    if (value === undefined || !(tail ? TAIL : TOKEN).test(value)) {
      throw new TypeError(`${channel}: parameter ${name} is no ${tail ? 'dotted name' : 'token'}: ${JSON.stringify(value)}`);
    }
    return value;
  });
}

/** The pattern of a row with some parameters fixed and the rest open (`*`, `>`). */
export function patternOf<C extends ChannelName>(channel: C, params: Partial<SubjectParams<C>> = {}): string {
  return fill(channel, (name, tail) => {
    const value = (params as Record<string, string | undefined>)[name];
    if (value === undefined) return tail ? '>' : '*';
    if (!(tail ? TAIL : TOKEN).test(value))
      throw new TypeError(`${channel}: parameter ${name} is no token: ${JSON.stringify(value)}`);
    return value;
  });
}

/**
 * `a.*.*` as `a.>`. A leaf hears of a wider subscription at the hub (a stream's "cim.v1.fwd.>") only where its own grant ends in ">":
 * nats-server does not find `….*.*` when it looks for what lies within the wider one. And who may hear all of a row may ask for
 * `a.>` in one word.
 */
export const openEnded = (pattern: string): string => pattern.replace(/(?:\.\*)+$/, '.>');

function fill(channel: ChannelName, value: (name: string, tail: boolean) => string): string {
  return channels[channel].template.replace(/\{(\w+)(\.\.\.)?\}/g, (_, name: string, tail?: string) =>
    value(name, tail !== undefined),
  );
}

/** The parameters of a subject, or undefined when it is none of this row. */
export function parseSubject<C extends ChannelName>(channel: C, subject: string): SubjectParams<C> | undefined {
  const wanted = channels[channel].template.split('.');
  // "{name...}" splits into "{name", "", "", "}" on dots: read the template by its own grammar instead.
  const tokens = channels[channel].template.match(/\{\w+(?:\.\.\.)?\}|[^.]+/g) ?? wanted;
  const parts = subject.split('.');
  const params: Record<string, string> = {};
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    const match = /^\{(\w+)(\.\.\.)?\}$/.exec(token);
    if (!match) {
      if (parts[i] !== token) return undefined;
    } else if (match[2] !== undefined) {
      const rest = parts.slice(i).join('.');
      if (!TAIL.test(rest)) return undefined;
      params[match[1]!] = rest;
      return params as SubjectParams<C>;
    } else {
      if (parts[i] === undefined || !TOKEN.test(parts[i]!)) return undefined;
      params[match[1]!] = parts[i]!;
    }
  }
  return parts.length === tokens.length ? (params as SubjectParams<C>) : undefined;
}

/**
 * An event pattern as people write it, relative to an instance, as a subject pattern:
 * `agent.*.deployed` -> `cim.v1.evt.<instance>.agent.*.deployed`, `error.*` -> `cim.v1.evt.<instance>.error.*.*`, `>` -> all.
 * @throws TypeError when it is none
 */
export function eventPattern(instance: string, pattern: string): string {
  if (instance !== '*' && !TOKEN.test(instance))
    throw new TypeError(`expected an instance or "*", found ${JSON.stringify(instance)}`);
  if (!/^(?:>|(?:\*|[a-z0-9-]+)(?:\.(?:\*|>|[A-Za-z0-9_-]+)){0,2})$/.test(pattern) || /\.>./.test(pattern)) {
    throw new TypeError(`expected an event pattern such as "agent.*.deployed" or "error.*", found ${JSON.stringify(pattern)}`);
  }
  const tokens = pattern.split('.');
  while (tokens.length < 3 && tokens.at(-1) !== '>') tokens.push('*');
  return `cim.v1.evt.${instance}.${tokens.join('.')}`;
}
