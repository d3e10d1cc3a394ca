/**
 * Which nats-server keeps a leaf to its permissions. From 2.2 on until the versions below, a hub told a leaf's nats-server what it may send
 * and trusted it to heed that: whoever wrote a leaf of their own could send anything in the account ("Enforce subject permissions on
 * inbound leaf messages", fixed in v2.14.0, v2.12.7 and v2.11.16). What a leaf may hear was always kept by the hub.
 */
const FIXED: Readonly<Record<string, number>> = { '2.11': 16, '2.12': 7 };

/** True when a hub of this version refuses what a leaf may not send. @param version e.g. `2.10.27`, `2.15.0-RC.1` */
export function leafLimitsKept(version: string): boolean {
  const [, major, minor, patch] = /^v?(\d+)\.(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  if (Number(major) !== 2) return Number(major) > 2;
  if (Number(minor) >= 14) return true;
  const from = FIXED[`${major}.${minor}`];
  return from !== undefined && Number(patch) >= from;
}
