/**
 * Documents on their way from hand to hand: written by one operator, signed by others, submitted by whoever comes last. A paper holds all
 * a signer must see, and nothing secret.
 */
import { readFile, writeFile } from 'node:fs/promises';
import {
  DesiredRecord,
  decodeJson,
  Fault,
  type Signature,
  type Signer,
  signDesired,
  signTrust,
  TrustRecord,
} from '@cim/contracts';
import { z } from 'zod';

export const Paper = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('desired'),
    /** What the document was made on: the revision that must still stand, or null when there must be none. */
    revision: z.number().int().positive().nullable(),
    record: DesiredRecord,
  }),
  z.strictObject({ kind: z.literal('trust'), record: TrustRecord }),
]);
export type Paper = z.infer<typeof Paper>;

/** @throws Fault `invalid-input` naming the file and every wrong field */
export async function readPaper(file: string): Promise<Paper> {
  const text = await readFile(file, 'utf8').catch((cause) => {
    throw new Fault('invalid-input', `file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  });
  return decodeJson(Paper, text, file);
}

export async function writePaper(file: string, paper: Paper): Promise<void> {
  await writeFile(file, `${JSON.stringify(paper, null, 2)}\n`).catch((cause) => {
    throw new Fault('invalid-input', `file: cannot write ${file}: ${(cause as Error).message}`, { cause });
  });
}

/** The paper with one more signature of each signer; who signed before signs again in the same place. */
export function signPaper(paper: Paper, signers: readonly Signer[]): Paper {
  for (const { publicKey } of signers)
    if (!publicKey.startsWith('O'))
      throw new Fault('invalid-input', `key: expected an operator seed ("SO…"), found the seed of ${publicKey}`);
  const join = (before: readonly Signature[], made: readonly Signature[]) => [
    ...before.filter(({ keyid }) => !made.some((one) => one.keyid === keyid)),
    ...made,
  ];
  if (paper.kind === 'desired') {
    const { document, signatures } = paper.record;
    return {
      ...paper,
      record: {
        document,
        signatures: join(
          signatures,
          signers.map((one) => signDesired(document, one)),
        ),
      },
    };
  }
  const { document, signatures } = paper.record;
  return {
    ...paper,
    record: {
      document,
      signatures: join(
        signatures,
        signers.map((one) => signTrust(document, one)),
      ),
    },
  };
}

/** What a signer must read before signing, a line each. */
export function linesOf(paper: Paper): string[] {
  const signed = `signed    ${paper.record.signatures.map(({ keyid }) => keyid).join(', ') || 'by nobody yet'}`;
  if (paper.kind === 'desired') {
    const { document } = paper.record;
    const { instance, kind, name, state, generation, bundle, replicas, rollback, issuedBy, issuedAt, reason } = document;
    return [
      `desired   ${kind} ${name} on ${instance}: ${state}, generation ${generation}`,
      `bundle    ${bundle.version} ${bundle.digest}`,
      `replicas  ${replicas}${rollback ? ', an older version is allowed' : ''}`,
      `issued    ${issuedAt} by ${issuedBy}${reason === undefined ? '' : `: ${reason}`}`,
      signed,
    ];
  }
  const { document } = paper.record;
  return [
    `trust     document ${document.sequence}${document.expires === undefined ? '' : `, expires ${document.expires}`}`,
    ...(document.refreshBy === undefined ? [] : [`next      promised by ${document.refreshBy}`]),
    ...document.publishers.map(({ name, key, validFrom, validUntil, scopes }) => {
      const time =
        validFrom === undefined && validUntil === undefined ? '' : ` from ${validFrom ?? 'ever'} until ${validUntil ?? 'ever'}`;
      return `adds      ${name} ${key}${time}${scopes === undefined ? '' : ` only ${JSON.stringify(scopes)}`}`;
    }),
    ...document.revokedKeys.map(({ key, reason, at }) => `revokes   ${key} (${at}: ${reason})`),
    ...document.revokedBundles.map(({ digest, reason, at }) => `revokes   ${digest} (${at}: ${reason})`),
    ...(document.logStart === undefined ? [] : [`log       begins anew with ${document.logStart}`]),
    `issued    ${document.issuedAt} by ${document.issuedBy}${document.reason === undefined ? '' : `: ${document.reason}`}`,
    signed,
  ];
}
