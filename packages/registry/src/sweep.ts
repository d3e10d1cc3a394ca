/**
 * Collects what killed publishes left: bytes no version names, and chunks without an object. Run once at start; harmless to run twice
 * or by two registries at once.
 *
 * Promises:
 * G1. Nothing younger than a day goes: a publish under way is in no danger, whatever clocks differ by.
 * G2. An object that a publish wants again is marked anew before its version is written, and a marked object is not removed.
 * G3. When one catalog entry cannot be read, nothing goes: it may name anything.
 */
import { type Clock, type Logger, objectName } from '@cim/contracts';
import type { LooseChunks, Objects, StoredObject } from './store/objects.ts';

const DAY_MS = 86_400_000;

export interface Leftovers {
  readonly objects: readonly StoredObject[];
  readonly loose: readonly LooseChunks[];
}

/** What may go. Pure. @param now ms since 1970 */
export function leftovers(found: Leftovers, digests: ReadonlySet<string>, now: number, age = DAY_MS): Leftovers {
  const named = new Set([...digests].map(objectName));
  const old = ({ writtenAt }: { readonly writtenAt: number }) => now - writtenAt > age;
  return {
    objects: found.objects.filter((object) => !named.has(object.name) && old(object)),
    loose: found.loose.filter(old),
  };
}

/** @returns how many objects and loose runs of chunks were removed */
export async function sweep(
  clock: Clock,
  log: Logger,
  objects: Objects,
  digests: () => Promise<ReadonlySet<string> | undefined>,
): Promise<number> {
  // The inventory before the catalog: what is published in between is named by then.
  const found = await objects.inventory();
  const named = await digests();
  if (!named) {
    log.warn({}, 'a catalog entry cannot be read, so nothing is collected');
    return 0;
  }
  const go = leftovers(found, named, clock.now());
  let removed = 0;
  for (const object of go.objects) removed += (await objects.removeObject(object)) ? 1 : 0;
  for (const chunks of go.loose) {
    await objects.removeChunks(chunks);
    removed++;
  }
  if (removed > 0) log.info({ removed }, 'collected what interrupted publishes left');
  return removed;
}
