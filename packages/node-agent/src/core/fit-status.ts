/**
 * A status that fits into one message, whatever a node has to say: a thousand workloads that all failed with long reasons would not. Pure.
 *
 * Promises:
 * F1. What fits is sent as it is.
 * F2. Else it is shortened in the order of what is missed least, and a condition says so: long details, then what each workload offers
 *     (`offers` still has all of it), then workloads themselves, those that are well first.
 */
import type { NodeStatus } from '@cim/contracts';

/** Characters of a detail that is left when there is not room for all. */
const SHORT = 160;

/** JSON text of the status in at most `limit` bytes, where that can be had. */
export function fitStatus(status: NodeStatus, limit: number): string {
  const whole = JSON.stringify(status);
  if (Buffer.byteLength(whole) <= limit) return whole;
  let fitting = shortDetails(said(status, 'long details are cut'));
  let text = JSON.stringify(fitting);
  if (Buffer.byteLength(text) <= limit) return text;
  fitting = { ...said(fitting, 'what each workload offers is left out'), workloads: fitting.workloads.map(bare) };
  text = JSON.stringify(fitting);
  const left = [...fitting.workloads].sort((a, b) => trouble(b) - trouble(a));
  while (Buffer.byteLength(text) > limit && left.length > 0) {
    left.length = Math.floor(left.length * 0.8);
    const missing = status.workloads.length - left.length;
    text = JSON.stringify({ ...said(fitting, `${missing} workloads are left out`), workloads: left });
  }
  return text;
}

const cut = (text: string): string => (text.length <= SHORT ? text : `${text.slice(0, SHORT - 1)}…`);
const bare = <W extends NodeStatus['workloads'][number]>(workload: W): W => ({ ...workload, capabilities: [] });
/** Workloads that are not well are what a status is read for. */
const trouble = ({ state, converged }: NodeStatus['workloads'][number]): number =>
  (state === 'ready' ? 0 : 2) + (converged ? 0 : 1);

function said(status: NodeStatus, detail: string): NodeStatus {
  const conditions = status.conditions.filter(({ code }) => code !== 'status-cut');
  const condition = {
    code: 'status-cut',
    severity: 'warning' as const,
    title: 'The status is too large to be sent whole',
    detail: `${detail}; the node itself has all of it`,
    since: status.at,
  };
  return { ...status, conditions: [...conditions, condition] };
}

function shortDetails(status: NodeStatus): NodeStatus {
  return {
    ...status,
    conditions: status.conditions.map((condition) => ({ ...condition, detail: cut(condition.detail) })),
    workloads: status.workloads.map((workload) => ({
      ...workload,
      ...(workload.reason ? { reason: { ...workload.reason, detail: cut(workload.reason.detail) } } : {}),
      ...(workload.next?.reason
        ? { next: { ...workload.next, reason: { ...workload.next.reason, detail: cut(workload.next.reason.detail) } } }
        : {}),
    })),
  };
}
