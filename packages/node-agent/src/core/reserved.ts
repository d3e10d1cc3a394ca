/**
 * Subjects that are never a guest's, whatever its manifest says: CIM's own speech, the server's, and everybody's inboxes. One rule for
 * admission (patterns of the manifest) and for the host door (subjects at the moment they are spoken on).
 */

/**
 * Why a guest may not have this subject or pattern, or undefined when it may.
 * @param listens true for subscribing: events are there to be heard
 */
export function reserved(pattern: string, listens: boolean): string | undefined {
  const root = pattern.split('.', 1)[0]!;
  if (root === '>' || root === '*') return 'reaches subjects of CIM and of the server; begin with a name of your own';
  if (root.startsWith('$') || root.startsWith('_INBOX')) return "belongs to the server; no workload's";
  if (root === 'cim' && !(listens && pattern.startsWith('cim.v1.evt.')))
    return 'belongs to CIM; use ctx.call and ctx.emit instead';
  return undefined;
}
