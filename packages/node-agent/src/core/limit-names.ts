/** The limits by name: one word each for faults, events, metrics and docs. */

/** Limits a workload can hit; docs/writing-agents.md has the table. */
export const LIMITS = [
  'heap',
  'memory',
  'cpu',
  'turn',
  'timeout',
  'start',
  'in-flight',
  'queue',
  'reply-size',
  'value-size',
  'storage',
  'timers',
  'requests',
  'log-rate',
  'log-size',
  'metric-rate',
  'metric-names',
  'kv-rate',
  'publish-rate',
  'emit-rate',
  'call-rate',
  'frames',
  'fetch-rate',
  'fetch-connections',
  'fetch-size',
  'other-rate',
] as const;
export type LimitName = (typeof LIMITS)[number];
