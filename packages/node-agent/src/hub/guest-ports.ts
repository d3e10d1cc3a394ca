/**
 * The host ports of every guest on this node: calls (here first, else over NATS), publishing, events, logs, metrics and secrets.
 * What a guest may do with them is the host door's business.
 */
import {
  bytesOf,
  CALL_ID_HEADER,
  type Clock,
  CORRELATION_HEADER,
  Fault,
  type LogLine,
  type NodeAgentConfig,
  newId,
  subjectOf,
  TIMEOUT_HEADER,
} from '@cim/contracts';
import { publish, send } from '@cim/contracts/bus';
import { headers } from '@nats-io/transport-node';
import type { HostPorts } from '../host/host-door.ts';
import type { LimitHits } from '../host/limit-hits.ts';
import { createRate, type Rate } from '../host/rate.ts';
import type { ReadSecret } from '../host/secrets.ts';
import type { Metrics } from '../metrics.ts';
import type { AnswerText, CallRequest } from '../sandbox/sandbox.ts';
import type { Events } from './events.ts';
import type { Leaf } from './leaf.ts';

export interface HostPortsDeps {
  readonly clock: Clock;
  readonly leaf: Leaf;
  readonly events: Events;
  readonly metrics: Metrics;
  readonly instance: string;
  readonly offers: () => readonly string[];
  readonly callHere: (request: CallRequest) => Promise<AnswerText>;
  readonly secret: ReadSecret;
  readonly limits: LimitHits;
  /** What a guest may ask for: rates, sizes, requests under way. */
  readonly sandbox: Pick<NodeAgentConfig['sandbox'], 'rates' | 'maxValue' | 'maxFetches'>;
}

/** Lines that may come at once, in seconds' worth. */
const LOG_BURST = 10;
const LONGEST_LINE = 64 * 1024;

export function createHostPorts(deps: HostPortsDeps): HostPorts {
  const { clock, leaf, events, metrics, instance, limits } = deps;
  const lines = deps.sandbox.rates.log;
  const rates = new Map<string, Rate>();
  const elsewhere = async (subject: string, request: CallRequest): Promise<string> => {
    const head = headers();
    head.set(TIMEOUT_HEADER, String(request.budgetMs));
    head.set(CALL_ID_HEADER, request.callId);
    head.set(CORRELATION_HEADER, request.correlationId);
    const connection = await leaf.ready(Math.min(5_000, request.budgetMs));
    const nobody = new Fault('capability-unknown', `nothing offers ${request.capability}`);
    const reply = await send(connection, subject, request.input, request.budgetMs, nobody, head);
    return reply.data.length === 0 ? 'null' : reply.string();
  };
  return {
    clock,
    async call(capability, input, { instance: target, timeoutMs, correlationId }) {
      const callId = newId();
      const request: CallRequest = { callId, capability, input, budgetMs: timeoutMs, correlationId: correlationId ?? callId };
      const here = target === instance || (target === undefined && deps.offers().includes(capability));
      if (here) return (await deps.callHere(request)).toString();
      return elsewhere(
        target === undefined ? subjectOf('call', { capability }) : subjectOf('callAt', { instance: target, capability }),
        request,
      );
    },
    async publish(subject, data) {
      (await leaf.ready(5_000)).publish(subject, data);
    },
    emit({ kind, name, version }, type, data, subject) {
      metrics.event(type);
      events.emit({ id: name, part: `${kind}/${name}@${version}`, type, data, ...(subject === undefined ? {} : { subject }) });
    },
    secret: deps.secret,
    log(id, level, message, fields) {
      const { kind, name, version, replica } = id;
      const rate = rates.get(name) ?? createRate(clock, lines, lines * LOG_BURST);
      rates.set(name, rate);
      if (!rate.take()) {
        metrics.ofWorkload('counter', name, 'log_lines_dropped', 1);
        limits.hit(id, 'log-rate', `more than ${lines} lines a second (sandbox.rates.log)`);
        return;
      }
      const connection = leaf.current();
      if (!connection) return;
      const line: LogLine = {
        time: new Date(clock.now()).toISOString(),
        instance,
        kind,
        workload: name,
        version,
        replica,
        level,
        message: message.slice(0, 8 * 1024),
        fields: JSON.stringify(fields).length > LONGEST_LINE ? { truncated: true } : fields,
      };
      publish(connection, 'log', { instance, workload: name, level }, line);
    },
    metric(id, kind, metric, value) {
      if (!metrics.ofWorkload(kind, id.name, metric, value))
        limits.hit(id, 'metric-names', `${metric}: more names than sandbox.metricNames allows, or no good one`);
    },
    limit: (id, limit, detail, hits) => limits.hit(id, limit, detail, hits),
    rates: deps.sandbox.rates,
    maxValue: bytesOf(deps.sandbox.maxValue),
    maxFetches: deps.sandbox.maxFetches,
  };
}
