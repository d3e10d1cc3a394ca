/** What a node-agent's `/metrics` says, read for the suite: counters by label, and the delays of its event loop. */

export interface Metrics {
  /** Sum of the counter's rows that carry all these labels. */
  count(name: string, labels?: Readonly<Record<string, string>>): number;
}

export async function readMetrics(url: string): Promise<Metrics> {
  const text = await (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) })).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return {
    count(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const rows = lines.filter(
        (line) => (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) && wanted.every((label) => line.includes(label)),
      );
      return rows.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
    },
  };
}

const BUCKETS = ['0.001', '0.002', '0.005', '0.01', '0.02', '0.03', '0.05', '0.1', '0.2', '0.5', '1', '2', '+Inf'];
const DELAY = 'cim_node_event_loop_delay_seconds';

/** Delay of the node-agent's event loop between two readings: p99 and longest, each as the upper edge of its bucket, ms. */
export function loopDelay(before: Metrics, after: Metrics): { readonly p99Ms: number; readonly maxMs: number } {
  const upTo = BUCKETS.map((le) => {
    const row = { le };
    return after.count(`${DELAY}_bucket`, row) - before.count(`${DELAY}_bucket`, row);
  });
  const total = upTo.at(-1)!;
  const edge = (share: number) => Number(BUCKETS[upTo.findIndex((count) => count >= total * share)]) * 1000;
  return { p99Ms: edge(0.99), maxMs: edge(1) };
}
