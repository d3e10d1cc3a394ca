/**
 * The catalog: one immutable record per published version, and channels that point at versions.
 */
import { z } from 'zod';
import { ChannelName, Digest, Version, WorkloadKind, WorkloadName } from '../ids.ts';
import { Manifest } from './manifest.ts';
import { Envelope } from './signature.ts';

/** KV key `version.<name>.<version with dots as "_">`: written after the bytes are stored, never changed. */
export const CatalogEntry = z.strictObject({
  name: WorkloadName,
  version: Version,
  kind: WorkloadKind,
  digest: Digest,
  size: z.number().int().positive(),
  sequence: z.number().int().positive(),
  manifest: Manifest,
  envelope: Envelope,
  publishedAt: z.iso.datetime(),
  publishedBy: z.string(),
});
export type CatalogEntry = z.infer<typeof CatalogEntry>;

/** KV key `channel.<name>.<channel>`. */
export const ChannelEntry = z.strictObject({
  name: WorkloadName,
  channel: ChannelName,
  version: Version,
  setAt: z.iso.datetime(),
  setBy: z.string(),
});
export type ChannelEntry = z.infer<typeof ChannelEntry>;

/** A version as a KV token: dots are separators there. `_` cannot occur in a semantic version, so this can be undone. */
export const versionToken = (version: string): string => version.replaceAll('.', '_');
export const versionKey = (name: string, version: string): string => `version.${name}.${versionToken(version)}`;
export const channelKey = (name: string, channel: string): string => `channel.${name}.${channel}`;
/** Name of the object that holds the bytes: the digest's hex digits. */
export const objectName = (digest: string): string => digest.slice('sha256:'.length);
