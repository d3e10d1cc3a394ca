/** What the verbs about trust have in common: whose word counts at this desk, and the flags that say so. */
import { resolve } from 'node:path';
import type { TrustedSigner } from '@cim/contracts';
import type { Command } from 'commander';
import type { Roots } from '../../trust/roots.ts';
import type { CommonFlags, Session } from '../session.ts';

export interface RootFlags extends CommonFlags {
  readonly trust?: readonly string[];
  readonly trustFile?: string;
  readonly logKey?: readonly string[];
}

export const rootFlags = (command: Command): Command =>
  command
    .option('--trust <key...>', 'public keys of publishers you trust, instead of those of the profile')
    .option('--trust-file <file>', 'a node\'s configuration, or its "trust" alone: judge as that node would')
    .option('--log-key <key...>', 'public keys of the transparency log');

/** Flags over `trust` of the profile over one's own publisher key. @throws Fault naming the flag or file */
export async function rootsOf({ io, alchemist }: Session, flags: RootFlags): Promise<Roots> {
  const [{ decode, PublicKey }, { readRoots }, { signerOf }] = await Promise.all([
    import('@cim/contracts'),
    import('../../trust/roots.ts'),
    import('../../keys.ts'),
  ]);
  const { profile } = await alchemist();
  const named = (flag: string, keys: readonly string[]): TrustedSigner[] =>
    keys.map((key) => ({ name: key, key: decode(PublicKey, key, flag) }));
  const own = profile.publisherSeedFile;
  const base: Roots =
    flags.trustFile === undefined
      ? (profile.trust ?? {
          publishers: own === undefined ? [] : [{ name: 'you', key: signerOf(own).publicKey }],
          operators: [],
          operatorThreshold: 1,
          logs: [],
        })
      : readRoots(resolve(io.cwd, flags.trustFile));
  return {
    ...base,
    ...(flags.trust === undefined ? {} : { publishers: named('--trust', flags.trust) }),
    ...(flags.logKey === undefined ? {} : { logs: named('--log-key', flags.logKey) }),
  };
}

const paints = { ok: 'good', failed: 'bad', 'not-applicable': 'dim' } as const;

/** One line a check. */
export function checkLines(
  { render }: Session,
  results: readonly { readonly check: string; readonly result: keyof typeof paints; readonly evidence: string }[],
): string[] {
  const width = Math.max(0, ...results.map(({ check }) => check.length));
  return results.map(
    ({ check, result, evidence }) =>
      `${render.paint(result.padEnd(14), paints[result])}  ${render.paint(check.padEnd(width), 'strong')}  ${evidence}`,
  );
}
