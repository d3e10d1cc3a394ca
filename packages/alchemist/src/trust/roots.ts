/**
 * Whom an operator's desk trusts when it checks something: the roots of the profile (or of a node's configuration), and on top of them the
 * trust document of the registry, if those roots vouch for it.
 */
import { readFileSync } from 'node:fs';
import { decodeJson, Fault, judgeTrust, type Trust, TrustedKey, type TrustedSigner, trustOf } from '@cim/contracts';
import { z } from 'zod';
import type { RegistryClient } from '../registry/client.ts';

/** `trust` in a profile file; the same shape as in a node's configuration. */
export const Roots = z.strictObject({
  publishers: z.array(TrustedKey).default([]),
  operators: z.array(TrustedKey).default([]),
  operatorThreshold: z.number().int().min(1).max(16).default(1),
  logs: z.array(TrustedKey).default([]),
});
export type Roots = z.infer<typeof Roots>;

/** `trust` of a node's configuration, or the bare object. @throws Fault naming the file and every wrong field */
export function readRoots(file: string): Roots {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Fault('invalid-input', `--trust-file: cannot read ${file}: ${(cause as Error).message}`, { cause });
  }
  const bare = decodeJson(z.union([z.looseObject({ trust: Roots }), Roots]), text, file);
  return 'trust' in bare ? (bare.trust as Roots) : bare;
}

export interface Footing {
  readonly trust: Trust;
  readonly logs: readonly TrustedSigner[];
  /** What became of the registry's trust document. */
  readonly document: { readonly result: 'ok' | 'failed' | 'not-applicable'; readonly evidence: string };
}

/** @param registry absent: nobody is asked */
export async function footing(roots: Roots, registry: RegistryClient | undefined, now: number): Promise<Footing> {
  const bare = trustOf(roots);
  const with_ = (document: Footing['document'], trust: Trust = bare) => ({ trust, logs: roots.logs, document });
  if (!registry) return with_({ result: 'not-applicable', evidence: 'no registry was asked for its trust document' });
  let stored: Awaited<ReturnType<RegistryClient['trust']>>;
  try {
    stored = await registry.trust();
  } catch (error) {
    return with_({ result: 'not-applicable', evidence: Fault.of(error).detail });
  }
  if (!stored) return with_({ result: 'not-applicable', evidence: 'the registry has none' });
  const { record } = stored;
  const { sequence } = record.document;
  if (roots.operators.length === 0)
    return with_({
      result: 'not-applicable',
      evidence: `document ${sequence} is there, but no operator is known here to vouch for it (trust.operators of the profile, or --trust-file)`,
    });
  try {
    judgeTrust(record, bare, now);
    return with_(
      { result: 'ok', evidence: `document ${sequence}, signed by ${record.signatures.length}` },
      trustOf(roots, record.document),
    );
  } catch (error) {
    return with_({ result: 'failed', evidence: Fault.of(error).detail });
  }
}
