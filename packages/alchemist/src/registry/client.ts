/**
 * The registry's HTTP API, typed.
 *
 * Promises:
 * R1. Every request has a deadline; every answer is decoded; every failure is a Fault: the registry's own problem document where it
 *     sent one, `hub-unreachable` where nobody answered.
 * R2. Only reads are tried again, and only where the fault says that it helps.
 */
import {
  backoffDelay,
  CatalogEntry,
  type Clock,
  DeadlineError,
  type DesiredRecord,
  decodeJson,
  EnrolmentGiven,
  type EnrolmentOrder,
  type Envelope,
  Fault,
  IdentityRecord,
  Problem,
  type TokenRequest,
  TokenView,
  withDeadline,
} from '@cim/contracts';
import type { z } from 'zod';
import {
  AuditEnd,
  CatalogItem,
  CatalogList,
  DesiredList,
  EventList,
  MadeToken,
  NodeList,
  NodeView,
  Published,
  StoredDesired,
  TokenList,
  WhoAmI,
  WorkloadList,
} from './answers.ts';
import { type EventQuery, eventQueryString } from './event-query.ts';
import { trustRequests } from './trust-requests.ts';

export interface RegistryClientOptions {
  /** Address without a path, e.g. `http://127.0.0.1:8484`. */
  readonly url: string;
  readonly token: string | undefined;
  /** Why: sent with every change, kept in the audit log. */
  readonly reason?: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  /** Longest ordinary request, ms. */
  readonly timeoutMs?: number;
}

export interface Upload {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope;
  /** Set to this version after the publish. */
  readonly channel?: string | undefined;
  readonly onProgress?: ((sentBytes: number, totalBytes: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest upload, ms. Default: ten minutes. */
  readonly timeoutMs?: number | undefined;
}

interface Request {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

const CHUNK = 64 * 1024;
const TRIES = 3;

export type RegistryClient = ReturnType<typeof registryClient>;

export function registryClient({ url, token, reason, clock, random, timeoutMs = 15_000 }: RegistryClientOptions) {
  const authorization: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const why: Record<string, string> = reason === undefined ? {} : { 'cim-reason': reasonHeader(reason) };
  const address = (path: string) => `${url}/api/v1${path}`;

  /** The answer as it is. @throws Fault (R1) */
  async function send(target: string, request: Request & { raw?: ReadableStream<Uint8Array> }): Promise<Response> {
    const { method = 'GET', body, raw, headers = {}, signal, timeoutMs: limit = timeoutMs } = request;
    let answer: Response;
    try {
      answer = await withDeadline(clock, limit, `${method} ${target}`, (late) =>
        fetch(target, {
          method,
          headers: {
            ...authorization,
            ...(method === 'GET' ? {} : why),
            ...(body === undefined ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          signal: signal === undefined ? late : AbortSignal.any([late, signal]),
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          ...(raw === undefined ? {} : { body: raw, duplex: 'half' as const }),
        }),
      );
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(url, error);
    }
    if (answer.ok) return answer;
    throw await faultOf(answer, target);
  }

  async function ask<S extends z.ZodType>(schema: S, path: string, request: Request = {}): Promise<z.output<S>> {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await send(address(path), request);
        return decodeJson(schema, await answer.text(), `answer of ${path}`);
      } catch (error) {
        const again = (request.method ?? 'GET') === 'GET' && attempt + 1 < TRIES && worthAgain(error);
        if (!again) throw error;
        await clock.sleep(backoffDelay({ base: 150, cap: 1_000, factor: 2 }, attempt, random()), request.signal);
      }
    }
  }

  const at = (...parts: string[]) => parts.map((part) => `/${encodeURIComponent(part)}`).join('');
  const query = (values: Record<string, string | undefined>) => {
    const set = Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined);
    return set.length === 0 ? '' : `?${new URLSearchParams(set)}`;
  };
  const put = (record: DesiredRecord, revision: number | undefined, extra: { dryRun?: string }) => {
    const { instance, kind, name } = record.document;
    return ask(StoredDesired, `/desired${at(instance, kind, name)}${query(extra)}`, {
      method: 'PUT',
      body: record,
      headers: revision === undefined ? { 'if-none-match': '*' } : { 'if-match': `"${revision}"` },
    });
  };

  const text = async (path: string) => (await send(address(path), {})).text();

  return {
    url,
    ...trustRequests({ ask, text, at }),
    whoami: () => ask(WhoAmI, '/whoami'),
    /** Liveness as it stands, without a token: status and body. */
    async health(): Promise<{ readonly status: number; readonly body: unknown }> {
      let answer: Response;
      try {
        answer = await withDeadline(clock, 5_000, 'GET /health', (signal) => fetch(`${url}/health`, { signal }));
      } catch (error) {
        throw unreachable(url, error);
      }
      const text = await answer.text();
      try {
        return { status: answer.status, body: JSON.parse(text) };
      } catch {
        return { status: answer.status, body: text };
      }
    },
    async publish({ bytes, envelope, channel, onProgress, signal, timeoutMs: limit = 600_000 }: Upload): Promise<Published> {
      const answer = await send(address(`/bundles${query({ channel })}`), {
        method: 'POST',
        raw: streamOf(bytes, onProgress),
        headers: {
          'content-type': 'application/vnd.cim.bundle',
          'content-length': `${bytes.length}`,
          'cim-envelope': Buffer.from(JSON.stringify(envelope)).toString('base64'),
        },
        signal,
        timeoutMs: limit,
      });
      return decodeJson(Published, await answer.text(), 'answer of the publish');
    },
    async bytes(digest: string): Promise<Uint8Array> {
      const answer = await send(address(`/bundles${at(digest)}`), { timeoutMs: 600_000 });
      return new Uint8Array(await answer.arrayBuffer());
    },
    catalog: async () => (await ask(CatalogList, '/catalog')).bundles,
    catalogItem: (name: string) => ask(CatalogItem, `/catalog${at(name)}`),
    /** @param ref version, range or channel; absent: channel `stable`, else the highest release */
    resolve: (name: string, ref?: string) => ask(CatalogEntry, `/catalog${at(name)}/resolve${query({ ref })}`),
    async setChannel(name: string, channel: string, version: string): Promise<void> {
      await send(address(`/catalog${at(name)}/channels${at(channel)}`), { method: 'PUT', body: { version } });
    },
    desiredOf: (filter: { instance?: string | undefined; kind?: string | undefined; name?: string | undefined }) =>
      ask(DesiredList, `/desired${query(filter)}`).then(({ desired }) => desired),
    /** The stored document, or undefined when there is none. */
    async desired(instance: string, kind: string, name: string): Promise<StoredDesired | undefined> {
      try {
        return await ask(StoredDesired, `/desired${at(instance, kind, name)}`);
      } catch (error) {
        if (error instanceof Fault && error.code === 'not-found') return undefined;
        throw error;
      }
    },
    /** @param revision what it must still be; undefined: it must not exist yet. @throws Fault `revision-conflict` for the loser */
    putDesired: (record: DesiredRecord, revision: number | undefined) => put(record, revision, {}),
    /** The same checks without the write. */
    checkDesired: (record: DesiredRecord, revision: number | undefined) => put(record, revision, { dryRun: 'true' }),
    orderEnrolment: (order: EnrolmentOrder) => ask(EnrolmentGiven, '/enrolments', { method: 'POST', body: order }),
    identity: (instance: string) => ask(IdentityRecord, `/identities${at(instance)}`),
    revokeIdentity: (instance: string) => ask(IdentityRecord, `/identities${at(instance)}/revocation`, { method: 'POST' }),
    tokens: async () => (await ask(TokenList, '/tokens')).tokens,
    createToken: (request: TokenRequest) => ask(MadeToken, '/tokens', { method: 'POST', body: request }),
    revokeToken: (id: string) => ask(TokenView, `/tokens${at(id)}`, { method: 'DELETE' }),
    /** Entries of the audit log after a place, oldest first, as they came: whoever verifies them wants them unread. */
    async auditLines(after: number, limit: number): Promise<string[]> {
      const answer = await send(address(`/audit${query({ after: `${after}`, limit: `${limit}` })}`), {});
      return (await answer.text()).split('\n').filter((line) => line !== '');
    },
    auditHead: () => ask(AuditEnd, '/audit/head'),
    nodes: async () => (await ask(NodeList, '/nodes')).nodes,
    node: (instance: string) => ask(NodeView, `/nodes${at(instance)}`),
    workloads: async (instance?: string, signal?: AbortSignal) =>
      (await ask(WorkloadList, `/workloads${query({ instance })}`, { signal })).workloads,
    events: async (filter: EventQuery & { limit?: number | undefined }) =>
      (await ask(EventList, `/events${eventQueryString(filter)}`)).events,
    /** An open event stream; the caller reads and cancels its body. `lastEventId` resumes after that event. */
    openEvents: (filter: EventQuery, lastEventId: string | undefined, signal: AbortSignal) =>
      send(address(`/events/stream${eventQueryString(filter)}`), {
        headers: { accept: 'text/event-stream', ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }) },
        signal,
      }),
  };
}

/** A header holds ASCII: what is more is written as RFC 8187 has it. */
const reasonHeader = (reason: string): string =>
  /^[\x20-\x7e]*$/.test(reason) ? reason : `UTF-8''${encodeURIComponent(reason)}`;

const worthAgain = (error: unknown) =>
  error instanceof Fault && (error.code === 'hub-unreachable' || error.code === 'internal') && error.row.retry !== 'no';

function unreachable(url: string, error: unknown): Fault {
  if (error instanceof DeadlineError) return new Fault('hub-unreachable', `the registry at ${url}: ${error.message}`);
  const cause = (error as { cause?: { code?: string; message?: string } }).cause;
  const why = cause?.code ?? cause?.message ?? (error as Error).message;
  return new Fault('hub-unreachable', `the registry at ${url} does not answer (${why})`, { cause: error });
}

/** The problem document of an answer; where it is none, a fault by its status. */
async function faultOf(answer: Response, target: string): Promise<Fault> {
  const text = await answer.text().catch(() => '');
  try {
    const problem = Problem.safeParse(JSON.parse(text));
    if (problem.success) return Fault.fromProblem(problem.data);
  } catch {
    // No JSON: a proxy in between answered.
  }
  const detail = `${target} answered ${answer.status} without a problem document`;
  if (answer.status === 401) return new Fault('unauthenticated', detail);
  if (answer.status === 403) return new Fault('forbidden', detail);
  if (answer.status === 404) return new Fault('not-found', detail);
  if (answer.status === 413) return new Fault('too-large', detail);
  if (answer.status === 429) return new Fault('rate-limited', detail);
  return new Fault(answer.status >= 502 && answer.status <= 504 ? 'hub-unreachable' : 'internal', detail);
}

/** Bytes as a body that tells how far it is. */
function streamOf(bytes: Uint8Array, onProgress: Upload['onProgress']): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream(
    {
      pull(controller) {
        const chunk = bytes.subarray(sent, sent + CHUNK);
        sent += chunk.length;
        controller.enqueue(chunk);
        onProgress?.(sent, bytes.length);
        if (sent >= bytes.length) controller.close();
      },
    },
    { highWaterMark: 1 },
  );
}
