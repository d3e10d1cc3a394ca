/** `--out` of the commands that change what is desired: the signed document goes to a file, for other operators to sign, and nowhere else. */
import type { DesiredRecord } from '@cim/contracts';
import type { Session } from './session.ts';

/** Takes the document instead of the registry; undefined without `--out`. */
export async function drafting({ io }: Session, out: string | undefined) {
  if (out === undefined) return undefined;
  const [{ writePaper }, { resolve }] = await Promise.all([import('../trust/papers.ts'), import('node:path')]);
  return (record: DesiredRecord, revision: number | undefined) =>
    writePaper(resolve(io.cwd, out), { kind: 'desired', revision: revision ?? null, record });
}

export const draftText = (out: string): string =>
  `written ${out}\nnext    another operator: alchemist sign ${out}; then alchemist submit ${out}`;
