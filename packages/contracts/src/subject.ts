/**
 * NATS subjects as sets: which names a pattern covers. Used where a grant is checked outside the server.
 * Rules: docs.nats.io "Subject-Based Messaging": `*` is exactly one token, `>` one or more and only at the end.
 */

/** True when every subject that `inner` covers is covered by `outer`; `inner` may be a plain subject. */
export function subjectWithin(inner: string, outer: string): boolean {
  const a = inner.split('.');
  const b = outer.split('.');
  for (let i = 0; i < b.length; i++) {
    const want = b[i]!;
    const have = a[i];
    if (want === '>') return a.length > i;
    if (have === undefined || have === '>') return false;
    if (want !== '*' && want !== have) return false;
  }
  return a.length === b.length;
}

/** True when some subject is covered by both. */
export function subjectsOverlap(one: string, other: string): boolean {
  const a = one.split('.');
  const b = other.split('.');
  for (let i = 0; ; i++) {
    const x = a[i];
    const y = b[i];
    if (x === undefined || y === undefined) return x === y;
    if (x === '>' || y === '>') return true;
    if (x !== '*' && y !== '*' && x !== y) return false;
  }
}

/** True for a subject that can be published to: no wildcard, no empty token, no whitespace. */
export function isPlainSubject(subject: string): boolean {
  return /^[^\s.*>]+(?:\.[^\s.*>]+)*$/.test(subject) && subject.length <= 255;
}
