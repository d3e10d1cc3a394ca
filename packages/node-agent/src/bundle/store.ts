/**
 * Verified bundles on disk: the only place a {@link VerifiedBundle} comes from.
 *
 *   <directory>/sha256/<hex>/{bundle.tar, envelope.json}     verified
 *   <directory>/partial/<hex>/…                              on its way in
 *
 * Promises:
 * S1. What `get` returns has bytes of the digest, a statement signed by a publisher who is trusted now, not revoked and within its
 *     scopes, and the name, kind, version and manifest the statement and the desired document say. The signature is checked before
 *     anything is fetched.
 * S6. What comes in new is signed by a key that is valid now, and is in the transparency log where one is asked for. What was taken in
 *     before needs neither: a boot without the hub, or with a wrong clock, starts what ran.
 * S2. A verified bundle appears whole or not at all. What the disk corrupted is found on first use after a start, refetched, reported.
 * S3. One digest is fetched once, however many ask; the fetch ends when nobody waits for it any more.
 * S4. A full disk gives `storage-full`, leaves nothing behind and touches no other bundle.
 * S5. `collect` removes nothing that is pinned or being opened.
 */
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BundleRef,
  type BundleStatement,
  type Clock,
  type Condition,
  canonicalBytes,
  type Digest,
  Fault,
  judgeManifest,
  judgeStatement,
  type Logger,
  type Manifest,
  manifestDigest,
  objectName,
  revocationOf,
  type Trust,
} from '@cim/contracts';
import { createBundleConditions } from './bundle-conditions.ts';
import { download, type FetchBundle, type OpenFile, openFile } from './download.ts';
import { isAbsent, storageFault, syncDirectory, writeDurably } from './durable.ts';
import { fileDigest, type OpenedBundle, openBundle } from './opened.ts';
import { asVerified, type VerifiedBundle } from './verified.ts';

export interface BundleStore {
  /** Makes the directories. Once, before anything else. */
  open(): Promise<void>;
  /**
   * @param pulled told when the bytes had to be fetched and are here
   * @throws Fault those of judgeStatement and judgeManifest, log-missing, log-forked, bundle-malformed, digest-mismatch, storage-full, and those of the fetch
   */
  get(
    ref: BundleRef,
    expected: { readonly name: string; readonly kind: string },
    signal: AbortSignal,
    pulled?: () => void,
  ): Promise<VerifiedBundle>;
  /** Removes what is not pinned down to `maxBytes`, least recently used first, and partial files nobody waits for. */
  collect(keep: ReadonlySet<string>): Promise<{ readonly removed: number; readonly bytes: number }>;
  conditions(): Condition[];
}

export interface BundleStoreOptions {
  readonly directory: string;
  /** Whom this node trusts at the moment it is asked. */
  readonly trust: () => Trust;
  /** @throws Fault when the transparency log does not have it */
  readonly logged?: (digest: Digest) => Promise<void>;
  /** Bytes kept beyond what is pinned. */
  readonly maxBytes: number;
  readonly fetch: FetchBundle;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of bytes, on the disk or from the hub, that are not those of their digest. */
  readonly refused?: (digest: string, fault: Fault) => void;
  readonly openFile?: OpenFile;
  readonly stallMs?: number;
}

interface Brought {
  readonly opened: OpenedBundle;
  /** False when it lay on the disk. */
  readonly pulled: boolean;
}

interface Sharing {
  readonly brought: Promise<Brought>;
  readonly controller: AbortController;
  waiting: number;
}

/** An opened bundle and the file it was opened from, to see whether the disk still holds that. */
interface Known {
  readonly opened: OpenedBundle;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

export function createBundleStore(options: BundleStoreOptions): BundleStore {
  const { directory, clock, log } = options;
  const verified = join(directory, 'sha256');
  const partial = join(directory, 'partial');
  const transfer = { fetch: options.fetch, openFile: options.openFile ?? openFile, clock, stallMs: options.stallMs ?? 30_000 };
  const known = new Map<string, Known>();
  const sharing = new Map<string, Sharing>();
  const conditions = createBundleConditions(clock);
  let collecting: Promise<unknown> = Promise.resolve();

  const fileOf = (digest: string) => join(verified, objectName(digest), 'bundle.tar');

  /** True when a bundle of this digest was verified here before: it has the name of a verified one. */
  const isTaken = (digest: string) =>
    stat(fileOf(digest)).then(
      () => true,
      () => false,
    );

  /** What of this digest is on the disk and good; removes what is not. */
  const fromDisk = async (digest: string): Promise<OpenedBundle | undefined> => {
    const file = fileOf(digest);
    let found: Awaited<ReturnType<typeof stat>>;
    try {
      found = await stat(file);
    } catch (error) {
      if (!isAbsent(error)) throw storageFault(error, file);
      known.delete(digest);
      return undefined;
    }
    const before = known.get(digest);
    if (before && before.size === found.size && before.mtimeMs === found.mtimeMs && before.ino === found.ino)
      return before.opened;
    const digestFound = await fileDigest(file);
    if (digestFound === digest) return remember(digest, await openBundle(file, file, () => known.delete(digest)));
    const fault = new Fault('digest-mismatch', `${file}: expected ${digest}, the bytes on disk are ${digestFound}`);
    known.delete(digest);
    await rm(join(verified, objectName(digest)), { recursive: true, force: true });
    conditions.corrupt(digest, fault);
    log.error({ digest, detail: fault.detail }, 'a bundle was corrupted on disk; fetching it again');
    options.refused?.(digest, fault);
    return undefined;
  };

  const remember = async (digest: string, opened: OpenedBundle): Promise<OpenedBundle> => {
    const { size, mtimeMs, ino } = await stat(fileOf(digest));
    known.set(digest, { opened, size, mtimeMs, ino });
    return opened;
  };

  const bring = async (ref: BundleRef, signal: AbortSignal): Promise<Brought> => {
    const { digest } = ref;
    await collecting;
    const there = await fromDisk(digest);
    if (there) return { opened: there, pulled: false };
    const beside = join(partial, objectName(digest));
    const file = join(beside, 'bundle.tar');
    let opened: OpenedBundle;
    try {
      await download(transfer, ref, file, signal);
      try {
        // Read whole before it is moved: a bundle that is malformed never gets the name of a verified one.
        opened = await openBundle(file, fileOf(digest), () => known.delete(digest));
        await writeDurably(join(beside, 'envelope.json'), canonicalBytes(ref.envelope));
        const home = join(verified, objectName(digest));
        await rm(home, { recursive: true, force: true });
        await rename(beside, home);
        await syncDirectory(verified);
      } catch (error) {
        await rm(beside, { recursive: true, force: true });
        throw storageFault(error, file);
      }
    } catch (error) {
      if (error instanceof Fault) conditions.failed(digest, error);
      if (error instanceof Fault && error.code === 'digest-mismatch') options.refused?.(digest, error);
      throw error;
    }
    conditions.arrived(digest);
    return { opened: await remember(digest, opened), pulled: true };
  };

  const share = async (ref: BundleRef, signal: AbortSignal): Promise<Brought> => {
    const { digest } = ref;
    let shared = sharing.get(digest);
    // A fetch that was given up must have let go of its partial file before the next one takes it.
    while (shared?.controller.signal.aborted) {
      await shared.brought.catch(() => {});
      shared = sharing.get(digest);
    }
    if (!shared) {
      const controller = new AbortController();
      const brought = bring(ref, controller.signal).finally(() => sharing.delete(digest));
      brought.catch(() => {});
      shared = { brought, controller, waiting: 0 };
      sharing.set(digest, shared);
    }
    return waitFor(shared, signal);
  };

  return {
    async open() {
      await mkdir(verified, { recursive: true });
      await mkdir(partial, { recursive: true });
    },
    async get(ref, expected, signal, pulled) {
      const taken = await isTaken(ref.digest);
      const { statement, signer } = judgeStatement(ref.envelope, options.trust(), taken ? 'taken' : clock.now());
      agree(statement, { ...expected, version: ref.version, digest: ref.digest, size: ref.size });
      if (!taken) await options.logged?.(statement.digest);
      const brought = await share(ref, signal);
      const { opened } = brought;
      if (brought.pulled) pulled?.();
      agreeManifest(opened.manifest, statement);
      judgeManifest(opened.manifest, signer);
      const revoked = revocationOf(options.trust(), { publisher: signer.key, digest: statement.digest });
      if (revoked) throw revoked;
      const now = clock.now() / 1000;
      await utimes(join(verified, objectName(ref.digest)), now, now).catch(() => {});
      return asVerified({
        statement,
        manifest: opened.manifest,
        publisher: signer,
        get entry() {
          return opened.entry();
        },
        get sourceMap() {
          return opened.sourceMap();
        },
        asset: (path) => opened.asset(path),
      });
    },
    collect(keep) {
      const run = collecting.then(() =>
        collect(
          { verified, partial, maxBytes: options.maxBytes },
          (hex) => keep.has(`sha256:${hex}`) || sharing.has(`sha256:${hex}`),
        ),
      );
      collecting = run.then(
        ({ digests }) => {
          for (const digest of digests) known.delete(digest);
        },
        (error) => log.warn({ error: (error as Error).message }, 'the bundle cache could not be collected'),
      );
      return run.then(({ digests, bytes }) => ({ removed: digests.length, bytes }));
    },
    conditions: () => conditions.list(),
  };
}

/** One waiter of a shared fetch; the last one to leave ends it (S3). */
async function waitFor(shared: Sharing, signal: AbortSignal): Promise<Brought> {
  signal.throwIfAborted();
  shared.waiting++;
  const left = Promise.withResolvers<never>();
  const leave = () => left.reject(signal.reason);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([shared.brought, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
    shared.waiting--;
    if (shared.waiting === 0) shared.controller.abort(new Fault('internal', 'nobody waits for this bundle any more'));
  }
}

function agree(
  statement: BundleStatement,
  wanted: {
    readonly name: string;
    readonly kind: string;
    readonly version: string;
    readonly digest: string;
    readonly size: number;
  },
): void {
  for (const field of ['name', 'kind', 'version', 'digest', 'size'] as const) {
    if (statement[field] !== wanted[field]) {
      throw new Fault(
        'signature-invalid',
        `bundle.envelope: signed for ${field} ${statement[field]}, the desired document says ${wanted[field]}`,
      );
    }
  }
}

function agreeManifest(manifest: Manifest, statement: BundleStatement): void {
  for (const field of ['name', 'kind', 'version'] as const) {
    if (manifest[field] !== statement[field])
      throw new Fault(
        'bundle-malformed',
        `manifest.${field}: expected ${statement[field]} as signed, found ${manifest[field]}`,
      );
  }
  const digest = manifestDigest(manifest);
  if (digest !== statement.manifestDigest)
    throw new Fault('bundle-malformed', `manifest: expected digest ${statement.manifestDigest} as signed, found ${digest}`);
}

/** Removes by age what is not pinned. @returns the digests that are gone, and their bytes */
async function collect(
  { verified, partial, maxBytes }: { readonly verified: string; readonly partial: string; readonly maxBytes: number },
  pinned: (hex: string) => boolean,
): Promise<{ readonly digests: readonly string[]; readonly bytes: number }> {
  for (const hex of await readdir(partial)) {
    if (!pinned(hex)) await rm(join(partial, hex), { recursive: true, force: true });
  }
  const spare: { readonly hex: string; readonly bytes: number; readonly used: number }[] = [];
  for (const hex of await readdir(verified)) {
    if (pinned(hex)) continue;
    try {
      const [file, folder] = [await stat(join(verified, hex, 'bundle.tar')), await stat(join(verified, hex))];
      spare.push({ hex, bytes: file.size, used: folder.mtimeMs });
    } catch {
      // A removal that a crash cut short: it goes first.
      spare.push({ hex, bytes: 0, used: 0 });
    }
  }
  let total = spare.reduce((sum, { bytes }) => sum + bytes, 0);
  const digests: string[] = [];
  let freed = 0;
  for (const { hex, bytes, used } of spare.sort((a, b) => a.used - b.used)) {
    if (total <= maxBytes && used > 0) break;
    if (pinned(hex)) continue;
    await rm(join(verified, hex), { recursive: true, force: true });
    total -= bytes;
    freed += bytes;
    digests.push(`sha256:${hex}`);
  }
  return { digests, bytes: freed };
}
