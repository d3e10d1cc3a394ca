/** `alchemist verify`: explains every check a bundle stands or falls with. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Attestation, Envelope } from '@cim/contracts';
import type { Command } from 'commander';
import type { Evidence } from '../../bundle/verify.ts';
import { exits } from '../exit.ts';
import { looksLikePath, nameAndRef } from '../flags.ts';
import { commonFlags, perform, type Session, type Stage, verb } from '../session.ts';
import { checkLines, type RootFlags, rootFlags, rootsOf } from './trust-flags.ts';

interface Flags extends RootFlags {
  readonly offline?: boolean;
}

export function register(program: Command, stage: Stage): void {
  const command = rootFlags(
    verb(program, 'verify <file|name@version>', {
      summary: 'explain every check of a bundle',
      description: `Checks a bundle file (with <file>.sig and <file>.provenance beside it) or a published version the way a node does, and says
of each check whether it is ok, failed or not applicable, with the evidence: archive, statement, digest, manifest, signature, signer (trusted, valid,
not revoked, in scope), sequence, provenance, bill of materials, transparency. Trusted is what the profile says under "trust", else your
own publisher key. Exits 3 when it should not be run.`,
      examples: [
        'verify hello-1.0.0.cim',
        'verify hello@1.0.0 --trust AB…',
        'verify hello@stable --trust-file /etc/cim/config.json',
      ],
    }),
  ).option('--offline', 'ask no registry: only what lies beside the file');
  commonFlags(command).action((what: string, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { verifyBundle } = await import('../../bundle/verify.ts');
      const { facts, results } = await verifyBundle(await evidenceOf(session, what, flags));
      const ok = results.every(({ result }) => result !== 'failed');
      session.render.answer({ ok, ...facts, results }, () =>
        [
          ...checkLines(session, results),
          ok ? session.render.paint('verified', 'good') : session.render.paint('do not run this', 'bad'),
        ].join('\n'),
      );
      return ok ? exits.ok : exits.refused;
    }),
  );
}

async function evidenceOf(session: Session, what: string, flags: Flags): Promise<Evidence> {
  const [{ footing }, { walkLog }, { Fault, claimedStatement }] = await Promise.all([
    import('../../trust/roots.ts'),
    import('../../trust/log.ts'),
    import('@cim/contracts'),
  ]);
  const cim = await session.alchemist();
  const isFile = looksLikePath(what);
  const roots = await rootsOf(session, flags);
  // A file can be judged alone; what a registry would add is asked for where one is set.
  const registry = flags.offline === true || (isFile && cim.profile.registry === undefined) ? undefined : cim.registry;
  const now = session.around.clock.now();
  const { trust, logs, document } = await footing(roots, registry, now);
  const found = isFile ? await fromFile(session, what) : await published(session, what);
  const subject = found.envelope && attempt(() => claimedStatement(found.envelope!));
  const name = subject?.name;
  const newest =
    registry === undefined || name === undefined
      ? undefined
      : await registry.resolve(name).then(
          ({ version, sequence }) => ({ version, sequence }),
          () => undefined,
        );
  const walk =
    registry === undefined || logs.length === 0
      ? undefined
      : await walkLog(registry, logs, []).catch((error) => Fault.of(error, String(error)));
  return {
    ...found,
    trust,
    now,
    newest,
    document,
    ...(walk === undefined
      ? {}
      : {
          logged: (digest: string) => {
            if (walk instanceof Fault) return { result: 'failed', evidence: walk.detail };
            const chain = walk.checks.find(({ check }) => check === 'chain')!;
            const place = walk.places.get(digest);
            if (chain.result === 'failed') return { result: 'failed', evidence: chain.evidence };
            return place === undefined
              ? { result: 'failed', evidence: `not among the ${walk.head?.sequence ?? 0} entries of the log` }
              : { result: 'ok', evidence: `entry ${place} of ${walk.head?.sequence}, chain and signatures checked` };
          },
        }),
  };
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

interface Found {
  readonly bytes: Uint8Array;
  readonly envelope: Envelope | undefined;
  readonly attestation: Attestation | undefined;
}

async function published({ alchemist }: Session, what: string): Promise<Found> {
  const { registry } = await alchemist();
  const { name, ref } = nameAndRef(what);
  const entry = await registry.resolve(name, ref);
  const [bytes, attestation] = await Promise.all([
    registry.bytes(entry.digest),
    registry.provenance(entry.name, entry.version),
  ]);
  return { bytes, envelope: entry.envelope, attestation };
}

async function fromFile({ io }: Session, what: string): Promise<Found> {
  const { decodeJson, Attestation, Envelope, Fault } = await import('@cim/contracts');
  const file = resolve(io.cwd, what);
  const bytes = await readFile(file).catch((cause) => {
    throw new Fault('invalid-input', `file: cannot read ${what}: ${(cause as Error).message}`, { cause });
  });
  const beside = (suffix: string) => readFile(`${file}${suffix}`, 'utf8').catch(() => undefined);
  const [signature, provenance] = await Promise.all([beside('.sig'), beside('.provenance')]);
  return {
    bytes,
    envelope: signature === undefined ? undefined : decodeJson(Envelope, signature, `${what}.sig`, 'signature-invalid'),
    attestation:
      provenance === undefined ? undefined : decodeJson(Attestation, provenance, `${what}.provenance`, 'signature-invalid'),
  };
}
