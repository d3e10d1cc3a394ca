/**
 * What is published: versions that never change, and channels that point at them.
 *
 * Promises:
 * K1. A version is written once (`KV create`): of two publishes with different bytes exactly one wins, wherever they arrive.
 * K2. Whoever published through one registry finds it at another at once.
 * K3. A reference is an exact version, a channel or a semver range, in this order; without one it is the channel `stable`, else the
 *     highest release. A pre-release is never picked by a range that does not name one (node-semver).
 */
import {
  CatalogEntry,
  ChannelEntry,
  ChannelNameSchema,
  type Clock,
  channelKey,
  decodeJson,
  Fault,
  Version,
  versionKey,
} from '@cim/contracts';
import { maxSatisfying, prerelease, rcompare, validRange } from 'semver';
import type { Actor, Audit } from './audit.ts';
import type { Bucket } from './store/bucket.ts';
import type { BucketView } from './store/view.ts';
import { stampOf, type Transparency } from './transparency.ts';

/** A version in a list; times ISO, size in bytes. */
export interface VersionLine {
  readonly version: CatalogEntry['version'];
  readonly digest: CatalogEntry['digest'];
  readonly size: number;
  readonly publishedAt: string;
  readonly publishedBy: string;
}

export interface CatalogItem {
  readonly name: CatalogEntry['name'];
  readonly kind: CatalogEntry['kind'];
  readonly description?: string;
  /** Newest (highest) first. */
  readonly versions: readonly VersionLine[];
  readonly channels: Readonly<Record<string, CatalogEntry['version']>>;
}

/** What the view keeps of a key: enough for lists, so that manifests do not fill the memory. */
export type CatalogRow =
  | (VersionLine & {
      readonly row: 'version';
      readonly name: CatalogEntry['name'];
      readonly kind: CatalogEntry['kind'];
      readonly description: string | undefined;
    })
  | { readonly row: 'channel'; readonly entry: ChannelEntry }
  /** Lies beside a version and is read by its key. */
  | { readonly row: 'provenance' };

/** @throws Fault when the value is neither */
export function catalogRow(key: string, bytes: Uint8Array): CatalogRow {
  if (key.startsWith('provenance.')) return { row: 'provenance' };
  if (key.startsWith('channel.')) return { row: 'channel', entry: decodeJson(ChannelEntry, bytes, key) };
  const { name, kind, version, digest, size, publishedAt, publishedBy, manifest } = decodeJson(CatalogEntry, bytes, key);
  return { row: 'version', name, kind, version, digest, size, publishedAt, publishedBy, description: manifest.description };
}

export interface Catalog {
  list(): Promise<CatalogItem[]>;
  /** @throws Fault `not-found` */
  item(name: string): Promise<CatalogItem>;
  /** K3. @throws Fault `not-found`, `invalid-input` */
  resolve(name: string, ref: string | undefined): Promise<CatalogEntry>;
  /** The entry of one version, or undefined. */
  find(name: string, version: string): Promise<CatalogEntry | undefined>;
  /** K1. @param data what audit and event say of it. @returns the entry that stands: the given one, or who was first. */
  add(
    entry: CatalogEntry,
    actor: Actor,
    data: Readonly<Record<string, unknown>>,
  ): Promise<{ readonly created: boolean; readonly entry: CatalogEntry }>;
  /** Names that a digest was published under. */
  namesOf(digest: string): Promise<string[]>;
  /** @throws Fault `not-found` when there is no such version, `revision-conflict` when others set it all the time */
  setChannel(name: string, channel: string, version: string, actor: Actor): Promise<ChannelEntry>;
  /** Digests that published versions name, or undefined when an entry cannot be read, so that nobody knows all. */
  digests(): Promise<ReadonlySet<string> | undefined>;
}

/** Whoever sets a channel last has it; so many times somebody else may be first. */
const CHANNEL_TRIES = 5;

export interface CatalogDeps {
  readonly clock: Clock;
  readonly bucket: Bucket;
  readonly view: BucketView<CatalogRow>;
  readonly audit: Audit;
  readonly transparency: Transparency;
}

export function createCatalog({ clock, bucket, view, audit, transparency }: CatalogDeps): Catalog {
  const items = async () => itemsOf([...(await view.fresh()).values()].map(({ value }) => value));
  const item = async (name: string) => {
    const found = (await items()).find((one) => one.name === name);
    if (!found) throw new Fault('not-found', `nothing is published under the name "${name}"`);
    return found;
  };
  const find = async (name: string, version: string) => {
    const stored = await bucket.get(versionKey(name, version));
    return stored && decodeJson(CatalogEntry, stored.bytes, versionKey(name, version), 'internal');
  };
  const channelOf = async (name: string, channel: string) => {
    const stored = await bucket.get(channelKey(name, channel));
    return stored && decodeJson(ChannelEntry, stored.bytes, channelKey(name, channel), 'internal');
  };

  return {
    list: items,
    item,
    find,
    async resolve(name, ref) {
      let version: string | undefined;
      if (ref !== undefined && Version.safeParse(ref).success) version = ref;
      else if (ref === undefined || ChannelNameSchema.safeParse(ref).success)
        version = (await channelOf(name, ref ?? 'stable'))?.version;
      version ??= pickVersion(await item(name), ref);
      const entry = await find(name, version);
      if (!entry) throw new Fault('not-found', `${name} has no version ${version}`);
      return entry;
    },
    async add(entry, actor, data) {
      const key = versionKey(entry.name, entry.version);
      const state = await bucket.state(key);
      if (!state.bytes) {
        const value = JSON.stringify(entry);
        const change = { action: 'bundle.published', subject: entry.name, actor, bucket, key, value, state, data };
        if ((await audit.change(change)).kind === 'written') return { created: true, entry };
      }
      const standing = await find(entry.name, entry.version);
      if (!standing) throw new Fault('hub-unreachable', `${key}: written by someone else and gone again`);
      return { created: false, entry: standing };
    },
    async setChannel(name, channel, version, actor) {
      const target = await find(name, version);
      if (!target) throw new Fault('not-found', `${name} has no version ${version}: publish it first`);
      const key = channelKey(name, channel);
      await transparency.say({
        type: 'channel-set',
        at: stampOf(clock),
        by: actor.caller.name,
        name: target.name,
        channel,
        version: target.version,
        digest: target.digest,
      });
      for (let tries = 0; tries < CHANNEL_TRIES; tries++) {
        const state = await bucket.state(key);
        const before = state.bytes && decodeJson(ChannelEntry, state.bytes, key, 'internal');
        const entry = ChannelEntry.parse({
          name,
          channel,
          version,
          setAt: new Date(clock.now()).toISOString(),
          setBy: actor.caller.name,
        });
        const written = await audit.change({
          action: 'bundle.channel-set',
          subject: name,
          actor,
          bucket,
          key,
          value: JSON.stringify(entry),
          state,
          data: { name, channel, version, digest: target.digest, previousVersion: before?.version ?? null },
        });
        if (written.kind === 'written') return entry;
      }
      throw new Fault('revision-conflict', `${key}: others set it at the same time`);
    },
    async namesOf(digest) {
      const rows = [...(await view.fresh()).values()];
      return rows.flatMap(({ value }) => (value.row === 'version' && value.digest === digest ? [value.name] : []));
    },
    async digests() {
      const rows = [...(await view.fresh()).values()];
      if (view.undecoded() > 0) return undefined;
      return new Set(rows.flatMap(({ value }) => (value.row === 'version' ? [value.digest] : [])));
    },
  };
}

/** Rows as items, each with its versions from the highest down. Pure. */
export function itemsOf(rows: readonly CatalogRow[]): CatalogItem[] {
  const versions = Map.groupBy(
    rows.filter((row) => row.row === 'version'),
    ({ name }) => name,
  );
  const channels = Map.groupBy(
    rows.filter((row) => row.row === 'channel').map(({ entry }) => entry),
    ({ name }) => name,
  );
  return [...versions]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, all]) => {
      const sorted = [...all].sort((a, b) => rcompare(a.version, b.version));
      const { kind, description } = sorted[0]!;
      return {
        name,
        kind,
        ...(description === undefined ? {} : { description }),
        versions: sorted.map(({ version, digest, size, publishedAt, publishedBy }) => ({
          version,
          digest,
          size,
          publishedAt,
          publishedBy,
        })),
        channels: Object.fromEntries((channels.get(name) ?? []).map(({ channel, version }) => [channel, version])),
      };
    });
}

/** The version of an item a reference that is no exact version and no channel means (K3). @throws Fault. Pure. */
export function pickVersion({ name, versions, channels }: CatalogItem, ref: string | undefined): string {
  if (ref === undefined) {
    const release = versions.find(({ version }) => prerelease(version) === null);
    if (release) return release.version;
    throw new Fault(
      'not-found',
      `${name} has neither a channel "stable" nor a release: name a version, e.g. ${versions[0]?.version}`,
    );
  }
  const range = validRange(ref);
  if (range === null) {
    const isName = ChannelNameSchema.safeParse(ref).success;
    const known = Object.keys(channels).join(', ') || 'none';
    if (isName) throw new Fault('not-found', `${name} has no channel "${ref}"; its channels: ${known}`);
    const message = `expected a version, a channel or a semver range such as "^1.2.0", found ${JSON.stringify(ref)}`;
    throw new Fault('invalid-input', `query.ref: ${message}`, { issues: [{ path: 'query.ref', message }] });
  }
  const best = maxSatisfying(
    versions.map(({ version }) => version as string),
    range,
  );
  if (best === null)
    throw new Fault('not-found', `${name} has no version in "${ref}"; it has ${versions.map((v) => v.version).join(', ')}`);
  return best;
}
