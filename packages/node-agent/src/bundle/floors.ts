/**
 * The anti-rollback floor: the highest sequence of each workload and publisher that ever answered calls here.
 *
 * Promises:
 * F1. A floor never falls, not by a restart and not by removing the workload.
 * F2. `raise` resolves when the floor is on the disk. Raises that come while one is written are written together.
 * F3. A file that cannot be read is put aside and reported; the node starts without floors rather than not at all.
 */
import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decodeJson, Fault, type Logger } from '@cim/contracts';
import { z } from 'zod';
import { isAbsent, writeDurably } from './durable.ts';

const FloorsFile = z.strictObject({
  api: z.literal(1),
  floors: z.array(z.strictObject({ name: z.string(), publisher: z.string(), sequence: z.number().int().nonnegative() })),
});

export interface Floors {
  load(): Promise<void>;
  /** Highest sequence that ran here; 0 for none. */
  floorOf(name: string, publisher: string): number;
  /** @throws Fault `storage-full`, `internal`; the floor holds in memory all the same */
  raise(name: string, publisher: string, sequence: number): Promise<void>;
}

export function createFloors({ file, log }: { readonly file: string; readonly log: Logger }): Floors {
  const floors = new Map<string, { name: string; publisher: string; sequence: number }>();
  const keyOf = (name: string, publisher: string) => `${name} ${publisher}`;
  let writing: Promise<void> = Promise.resolve();
  let queued: Promise<void> | undefined;

  const write = (): Promise<void> => {
    queued ??= writing
      .catch(() => {})
      .then(() => {
        queued = undefined;
        writing = writeDurably(file, `${JSON.stringify({ api: 1, floors: [...floors.values()] })}\n`);
        return writing;
      });
    return queued;
  };

  return {
    async load() {
      await mkdir(dirname(file), { recursive: true });
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch (error) {
        if (isAbsent(error)) return;
        throw new Fault('internal', `${file}: ${(error as Error).message}`, { cause: error });
      }
      try {
        for (const floor of decodeJson(FloorsFile, text, 'floors').floors)
          floors.set(keyOf(floor.name, floor.publisher), floor);
      } catch (error) {
        await rename(file, `${file}.corrupt`);
        log.error({ file, error: (error as Error).message }, 'anti-rollback floors are unreadable and were put aside');
      }
    },
    floorOf: (name, publisher) => floors.get(keyOf(name, publisher))?.sequence ?? 0,
    async raise(name, publisher, sequence) {
      const key = keyOf(name, publisher);
      if ((floors.get(key)?.sequence ?? 0) >= sequence) return;
      floors.set(key, { name, publisher, sequence });
      await write();
    },
  };
}
