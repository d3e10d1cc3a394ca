/**
 * Subjects that are never a guest's, whatever its manifest says: CIM's own speech, the server's, and everybody's inboxes.
 */

/** True when a guest may subscribe to this pattern. */
export function guestMaySubscribe(pattern: string): boolean {
  const first = pattern.split('.')[0]!;
  // A wildcard in the first place would take in inboxes and the server's own subjects.
  if (first === '*' || first === '>' || first.startsWith('$') || first.startsWith('_')) return false;
  // Events are there to be heard; calls, commands and logs are not.
  return first !== 'cim' || pattern.startsWith('cim.v1.evt.');
}

/** True when a guest may publish to this subject. */
export function guestMayPublish(subject: string): boolean {
  const first = subject.split('.')[0]!;
  return !first.startsWith('$') && !first.startsWith('_') && first !== 'cim';
}
