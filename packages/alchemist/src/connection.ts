/**
 * NATS, as the operator uses it: calls, node commands, log lines. The only file of this package that knows `@nats-io`.
 *
 * Promises:
 * N1. Connects once, when it is first needed, within a deadline; a refused password is told apart from a server that is not there.
 * N2. Replies arrive in an inbox of this user's own, as the hub's permissions demand.
 */
import { readFileSync } from 'node:fs';
import {
  CALL_ID_HEADER,
  CORRELATION_HEADER,
  Fault,
  type InstanceId,
  inboxPrefix,
  type LogLine,
  newId,
  patternOf,
  readCreds,
  SERVED_BY_HEADER,
  subjectOf,
  TIMEOUT_HEADER,
  TRACEPARENT_HEADER,
} from '@cim/contracts';
import { listen, request, send } from '@cim/contracts/bus';
import { connect } from '@cim/contracts/wire';
import {
  type Authenticator,
  AuthorizationError,
  credsAuthenticator,
  headers,
  type NatsConnection,
  UserAuthenticationExpiredError,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { type NatsAddress, readSecret } from './profile.ts';

const CONNECT_MS = 5_000;
const LEVELS: readonly LogLine['level'][] = ['debug', 'info', 'warn', 'error'];

export interface CallRequest {
  readonly capability: string;
  readonly input: unknown;
  readonly timeoutMs: number;
  readonly instance?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly traceparent?: string | undefined;
}
export interface CallReply {
  readonly output: unknown;
  /** Instance, workload and version that answered, where they said so. */
  readonly servedBy: string | undefined;
  readonly callId: string;
}

export interface LogFilter {
  readonly instance?: string | undefined;
  readonly workload?: string | undefined;
  readonly level?: LogLine['level'] | undefined;
}

export type Connection = Awaited<ReturnType<typeof openConnection>>;

/** @throws Fault `hub-unreachable` when nobody answers, `unauthenticated` when the server refuses the user */
export async function openConnection(address: NatsAddress) {
  const nc = await open(address);
  const absent = (instance: string) =>
    new Fault('instance-unknown', `no node-agent of ${instance} answers on NATS: it is down, cut off, or the id is misspelt`);

  return {
    server: nc.getServer(),

    /** One call. @throws Fault the one the other side answered, `capability-unknown`, `deadline-exceeded` */
    async call({ capability, input, timeoutMs, instance, correlationId, traceparent }: CallRequest): Promise<CallReply> {
      const subject =
        instance === undefined ? subjectOf('call', { capability }) : subjectOf('callAt', { capability, instance });
      const callId = newId();
      const head = headers();
      head.set(TIMEOUT_HEADER, `${timeoutMs}`);
      head.set(CALL_ID_HEADER, callId);
      head.set(CORRELATION_HEADER, correlationId ?? callId);
      if (traceparent !== undefined) head.set(TRACEPARENT_HEADER, traceparent);
      const nobody = new Fault(
        'capability-unknown',
        instance === undefined ? `nothing answers ${capability}` : `nothing answers ${capability} on ${instance}`,
      );
      const reply = await outward(() => send(nc, subject, JSON.stringify(input ?? null), timeoutMs, nobody, head));
      let output: unknown;
      try {
        output = reply.data.length === 0 ? null : reply.json();
      } catch (cause) {
        throw new Fault('output-invalid', `the answer of ${capability} is not JSON`, { cause });
      }
      return { output, servedBy: reply.headers?.get(SERVED_BY_HEADER) || undefined, callId };
    },

    status: (instance: InstanceId, timeoutMs: number) =>
      outward(() => request(nc, 'status', { instance }, null, { timeoutMs, noResponder: absent(instance) })),
    probe: (instance: InstanceId, timeoutMs: number) =>
      outward(() => request(nc, 'probe', { instance }, null, { timeoutMs, noResponder: absent(instance) })),
    check: (
      instance: InstanceId,
      question: { workload?: string; checks: ('connectivity' | 'resources' | 'permissions' | 'dependencies')[] },
      timeoutMs: number,
    ) => outward(() => request(nc, 'check', { instance }, question, { timeoutMs, noResponder: absent(instance) })),
    drain: (instance: InstanceId, drain: boolean, timeoutMs: number) =>
      outward(() => request(nc, 'drain', { instance }, { drain }, { timeoutMs, noResponder: absent(instance) })),

    /** Round trip to the server, ms. */
    rtt: () => nc.rtt(),

    /** Log lines as they are said, of this level and worse. @returns ends the listening */
    logs({ instance, workload, level = 'debug' }: LogFilter, onLine: (line: LogLine) => void): () => void {
      // A level is a token of the subject: all of them is one subscription, some of them are one each.
      const wanted = LEVELS.slice(LEVELS.indexOf(level));
      const subscriptions = (level === 'debug' ? [undefined] : wanted).map((one) => {
        const pattern = patternOf('log', {
          ...(instance === undefined ? {} : { instance }),
          ...(workload === undefined ? {} : { workload }),
          ...(one === undefined ? {} : { level: one }),
        });
        return listen(nc, 'log', pattern, onLine);
      });
      return () => {
        for (const subscription of subscriptions) subscription.unsubscribe();
      };
    },

    /** Resolves when everything sent so far has reached the server: a subscription made before is then in place. */
    flush: () => nc.flush(),
    /** Resolves when the connection is gone for good, with the reason where there is one. */
    closed: (): Promise<Error | undefined> => nc.closed().then((error) => error ?? undefined),
    close: () => nc.close(),
  };
}

async function open(address: NatsAddress): Promise<NatsConnection> {
  const { url, user } = address;
  const shown = [url].flat().map(withoutSecret).join(', ');
  try {
    return await connect({
      servers: [...[url].flat()],
      name: 'alchemist',
      timeout: CONNECT_MS,
      reconnect: true,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 500,
      inboxPrefix: inboxPrefix('alchemist', nameOf(address)),
      ...authenticator(address),
    });
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    if (cause instanceof AuthorizationError || cause instanceof UserAuthenticationExpiredError) {
      throw new Fault(
        'unauthenticated',
        `NATS at ${shown} refused the user ${user ?? '(none)'}: check nats.user and the password or credentials in the profile`,
        { cause },
      );
    }
    throw new Fault('hub-unreachable', `NATS at ${shown} does not answer (${(cause as Error).message})`, { cause });
  }
}

/** Whose inbox answers come in: permissions name it. A credential says its name itself. */
function nameOf({ user, credentialsFile }: NatsAddress): string {
  let name = user;
  if (credentialsFile !== undefined) {
    try {
      name = readCreds(readFileSync(credentialsFile, 'utf8'), credentialsFile).claims.name;
    } catch {
      // What is wrong with the file is said where it is used to connect.
    }
  }
  return name !== undefined && /^[A-Za-z0-9_-]+$/.test(name) ? name : 'cli';
}

function authenticator({ user, password, passwordFile, credentialsFile }: NatsAddress): { authenticator?: Authenticator } {
  if (credentialsFile !== undefined) {
    try {
      return { authenticator: credsAuthenticator(readFileSync(credentialsFile)) };
    } catch (cause) {
      throw new Fault('configuration-invalid', `nats.credentialsFile: ${(cause as Error).message}`, { cause });
    }
  }
  if (user === undefined) return {};
  const secret = password ?? (passwordFile === undefined ? undefined : readSecret(passwordFile, 'nats.passwordFile'));
  return { authenticator: usernamePasswordAuthenticator(user, secret) };
}

const withoutSecret = (url: string) => url.replace(/\/\/[^@/]*@/, '//');

/** The bus speaks from a node's place and blames the leaf; from here it is the hub that does not answer. */
async function outward<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Fault && error.code === 'leaf-unreachable') {
      throw new Fault('hub-unreachable', error.detail, { cause: error.cause });
    }
    throw error;
  }
}
