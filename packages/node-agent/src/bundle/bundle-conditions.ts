/**
 * What the bundle store has to say about health: bytes that were not what they should be, and a full disk.
 * A mended corruption stays visible for an hour as `info`: a disk that lies once lies again.
 */
import type { Clock, Condition, Fault } from '@cim/contracts';

export interface BundleConditions {
  /** The disk held other bytes than it was given. */
  corrupt(digest: string, fault: Fault): void;
  /** It could not be brought here. */
  failed(digest: string, fault: Fault): void;
  arrived(digest: string): void;
  list(): Condition[];
}

const REMEMBERED_MS = 3_600_000;

export function createBundleConditions(clock: Clock): BundleConditions {
  const corrupt = new Map<string, { readonly detail: string; readonly at: number; readonly mended: boolean }>();
  let full: { readonly detail: string; readonly at: number } | undefined;
  const since = (at: number) => new Date(at).toISOString();
  return {
    corrupt(digest, { detail }) {
      corrupt.set(digest, { detail, at: clock.now(), mended: false });
    },
    failed(digest, { code, detail }) {
      if (code === 'storage-full') full ??= { detail, at: clock.now() };
      else if (code === 'digest-mismatch') corrupt.set(digest, { detail, at: clock.now(), mended: false });
    },
    arrived(digest) {
      full = undefined;
      const before = corrupt.get(digest);
      if (before) corrupt.set(digest, { ...before, mended: true });
    },
    list() {
      const out: Condition[] = [];
      for (const [digest, { detail, at, mended }] of corrupt) {
        if (mended && clock.now() - at > REMEMBERED_MS) {
          corrupt.delete(digest);
          continue;
        }
        out.push({
          code: 'bundle-corrupt',
          severity: mended ? 'info' : 'warning',
          title: mended ? 'A bundle was corrupt and has been fetched again' : 'A bundle is corrupt',
          detail,
          since: since(at),
        });
      }
      if (full) {
        const { detail, at } = full;
        out.push({ code: 'storage-full', severity: 'warning', title: 'The disk is full', detail, since: since(at) });
      }
      return out;
    },
  };
}
