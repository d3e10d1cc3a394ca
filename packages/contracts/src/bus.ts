/**
 * Second door: typed speech over a NATS connection that is handed in. Everything is decoded where it enters.
 *
 * Promises:
 * U1. What does not decode is never handed on; a request gets a problem document, an event is counted and dropped.
 * U2. Every request has a deadline.
 * U3. Only an inbox is answered: who could name any subject for his answer would have the answerer write there, with the answerer's rights.
 */
import type { Msg, MsgHdrs, NatsConnection, Payload, Subscription } from '@nats-io/nats-core';
import { InvalidArgumentError, headers as newHeaders, RequestError, TimeoutError } from '@nats-io/nats-core';
import type { z } from 'zod';
import {
  type Channel,
  type ChannelName,
  channels,
  parseSubject,
  patternOf,
  type SubjectParams,
  subjectOf,
} from './channels.ts';
import { decodeJson, Fault } from './errors.ts';
import { ERROR_CODE_HEADER, ERROR_HEADER } from './schema/call.ts';

type PayloadOf<C extends ChannelName> = z.output<(typeof channels)[C]['payload']>;
type ReplyOf<C extends ChannelName> = (typeof channels)[C] extends { reply: infer R extends z.ZodType } ? z.output<R> : never;

/** Publishes the payload of a row; a payload that does not fit is a fault of ours and thrown here. */
export function publish<C extends ChannelName>(
  nc: NatsConnection,
  channel: C,
  params: SubjectParams<C>,
  payload: PayloadOf<C>,
  headers?: MsgHdrs,
): void {
  nc.publish(subjectOf(channel, params), JSON.stringify(payload), headers === undefined ? {} : { headers });
}

/**
 * Sends a request of a row and decodes its reply.
 * @throws Fault the problem the other side answered, `deadline-exceeded`, or `noResponder` when nobody listens
 */
export async function request<C extends ChannelName>(
  nc: NatsConnection,
  channel: C,
  params: SubjectParams<C>,
  payload: PayloadOf<C>,
  options: { readonly timeoutMs: number; readonly noResponder: Fault },
): Promise<ReplyOf<C>> {
  const subject = subjectOf(channel, params);
  const row: Channel = channels[channel];
  const reply = await send(nc, subject, JSON.stringify(payload ?? null), options.timeoutMs, options.noResponder);
  return decodeJson(row.reply!, reply.data, `reply of ${subject}`) as ReplyOf<C>;
}

/** One raw request with its failures told apart. @throws Fault as {@link request} */
export async function send(
  nc: NatsConnection,
  subject: string,
  payload: Payload,
  timeoutMs: number,
  noResponder: Fault,
  headers?: MsgHdrs,
): Promise<Msg> {
  // nats.js reads 0 as a second; a wait that is over before it begins is over.
  if (!(timeoutMs >= 1)) throw new Fault('deadline-exceeded', `no time left for ${subject}`);
  let reply: Msg;
  try {
    reply = await nc.request(subject, payload, { timeout: timeoutMs, ...(headers === undefined ? {} : { headers }) });
  } catch (error) {
    if (error instanceof RequestError && error.isNoResponders()) throw noResponder;
    if (error instanceof InvalidArgumentError)
      throw new Fault('too-large', `request on ${subject}: ${error.message}`, { cause: error });
    if (error instanceof TimeoutError) throw new Fault('deadline-exceeded', `no answer on ${subject} within ${timeoutMs} ms`);
    throw new Fault('leaf-unreachable', `request on ${subject} failed: ${(error as Error).message}`, { cause: error });
  }
  if (reply.headers?.has(ERROR_CODE_HEADER)) {
    let problem: unknown;
    try {
      problem = reply.json();
    } catch {
      problem = undefined;
    }
    throw Fault.fromProblem(problem);
  }
  return reply;
}

/** Most characters of a detail that is sent where the whole does not fit. */
const SHORT_DETAIL = 500;

/** What can be answered. */
interface Asking {
  respond(payload: Payload, options: { readonly headers: MsgHdrs }): unknown;
}

/**
 * Answers a request with a fault: problem document and the headers of the services protocol.
 * Never throws: where the connection is gone, the asker's own deadline is the answer.
 */
export function respondFault(message: Asking, fault: Fault): void {
  const headers = newHeaders();
  headers.set(ERROR_CODE_HEADER, String(fault.row.status));
  headers.set(ERROR_HEADER, `${fault.code}: ${fault.row.title}`);
  try {
    message.respond(JSON.stringify(fault.toProblem()), { headers });
  } catch (error) {
    if (!(error instanceof InvalidArgumentError) || fault.detail.length <= SHORT_DETAIL) return;
    // Larger than the server takes: the code and the beginning of the detail are worth more than silence.
    respondFault(message, new Fault(fault.code, `${fault.detail.slice(0, SHORT_DETAIL - 1)}…`));
  }
}

const INBOX = /^_(?:INBOX|INBOX_HUB|R_)\./;

/** Whether a request may be dealt with: it wants its answer in an inbox, or none at all (U3). */
export const answerable = ({ reply }: Pick<Msg, 'reply'>): boolean => !reply || INBOX.test(reply);

/** Serves a request row: decodes, asks `handle`, answers. Faults become problem documents. `queue`: one of the group answers. */
export function serve<C extends ChannelName>(
  nc: NatsConnection,
  channel: C,
  params: Partial<SubjectParams<C>>,
  handle: (payload: PayloadOf<C>, params: SubjectParams<C>) => ReplyOf<C> | Promise<ReplyOf<C>>,
  options: { readonly queue?: string } = {},
): Subscription {
  const row: Channel = channels[channel];
  return nc.subscribe(patternOf(channel, params), {
    ...options,
    callback: (error, message) => {
      if (error || !answerable(message)) return;
      void (async () => {
        try {
          const where = parseSubject(channel, message.subject);
          if (!where) throw new Fault('invalid-input', `${message.subject}: no subject of ${channel}`);
          const payload = decodeJson(row.payload, message.data.length === 0 ? 'null' : message.data, channel);
          message.respond(JSON.stringify((await handle(payload as PayloadOf<C>, where)) ?? null));
        } catch (error) {
          respondFault(message, Fault.of(error, `${channel} failed`));
        }
      })();
    },
  });
}

/** Listens to an event row. `refused` is told what did not decode (U1). */
export function listen<C extends ChannelName>(
  nc: NatsConnection,
  channel: C,
  pattern: string,
  handle: (payload: PayloadOf<C>, params: SubjectParams<C>) => void,
  refused: (subject: string, fault: Fault) => void = () => {},
): Subscription {
  const row: Channel = channels[channel];
  return nc.subscribe(pattern, {
    callback: (error, message) => {
      if (error) return;
      const where = parseSubject(channel, message.subject);
      if (!where) return refused(message.subject, new Fault('invalid-input', `${message.subject}: no subject of ${channel}`));
      let payload: PayloadOf<C>;
      try {
        payload = decodeJson(row.payload, message.data, channel) as PayloadOf<C>;
      } catch (fault) {
        refused(message.subject, Fault.of(fault));
        return;
      }
      handle(payload, where);
    },
  });
}
