/** `alchemist verify`: checks a bundle's bytes against its signature and the keys one trusts. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CheckResult, Envelope, TrustedSigner } from '@cim/contracts';
import type { Command } from 'commander';
import { exits } from '../exit.ts';
import { looksLikePath, nameAndRef } from '../flags.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly trust?: readonly string[];
}

const paints = { pass: 'good', warn: 'warn', fail: 'bad' } as const;

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'verify <file|name@version>', {
    summary: 'check the bytes and the signature of a bundle',
    description: `Checks a bundle file (with <file>.sig beside it) or a published version: the archive, the digest, what the publisher signed, and
whether the signer is one you trust. Trusted are the keys given with --trust, else your own publisher key. Exits 3 when it
should not be run.`,
    examples: ['verify hello-1.0.0.cim', 'verify hello@1.0.0 --trust AB…'],
  }).option('--trust <key...>', 'public keys of publishers you trust');
  commonFlags(command).action((what: string, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { bytes, envelope } = await bytesOf(session, what);
      const { verifyBundle } = await import('../../bundle/verify.ts');
      const { facts, results } = await verifyBundle(bytes, envelope, await trusted(session, flags.trust));
      const ok = results.every(({ result }) => result === 'pass');
      session.render.answer({ ok, ...facts, results }, () => text(session, results, ok));
      return ok ? exits.ok : exits.refused;
    }),
  );
}

function text({ render }: Session, results: readonly CheckResult[], ok: boolean): string {
  const lines = results.map(
    ({ check, result, evidence }) => `${render.paint(result, paints[result])}  ${render.paint(check, 'strong')}: ${evidence}`,
  );
  return [...lines, ok ? render.paint('verified', 'good') : render.paint('do not run this', 'bad')].join('\n');
}

async function bytesOf(
  { io, alchemist }: Session,
  what: string,
): Promise<{ readonly bytes: Uint8Array; readonly envelope: Envelope | undefined }> {
  if (!looksLikePath(what)) {
    const { registry } = await alchemist();
    const { name, ref } = nameAndRef(what);
    const entry = await registry.resolve(name, ref);
    return { bytes: await registry.bytes(entry.digest), envelope: entry.envelope };
  }
  const { decodeJson, Envelope, Fault } = await import('@cim/contracts');
  const file = resolve(io.cwd, what);
  const bytes = await readFile(file).catch((cause) => {
    throw new Fault('invalid-input', `file: cannot read ${what}: ${(cause as Error).message}`, { cause });
  });
  const signature = await readFile(`${file}.sig`, 'utf8').catch(() => undefined);
  const envelope = signature === undefined ? undefined : decodeJson(Envelope, signature, `${what}.sig`, 'signature-invalid');
  return { bytes, envelope };
}

async function trusted({ alchemist }: Session, keys: readonly string[] | undefined): Promise<TrustedSigner[]> {
  const [{ decode, PublicKey }, { signerOf }] = await Promise.all([import('@cim/contracts'), import('../../keys.ts')]);
  if (keys !== undefined) return keys.map((key) => ({ name: key, key: decode(PublicKey, key, '--trust') }));
  const { publisherSeedFile } = (await alchemist()).profile;
  return publisherSeedFile === undefined ? [] : [{ name: 'you', key: signerOf(publisherSeedFile).publicKey }];
}
