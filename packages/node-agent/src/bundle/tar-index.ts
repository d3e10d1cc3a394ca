/**
 * Where in a bundle each file's bytes stand, so that an asset can be read without reading the rest.
 * Only for bytes whose digest was checked and which contracts' `readBundle` has let through: this walk looks at sizes and at nothing else.
 * Format: POSIX.1-1988 ustar, 512-byte blocks; size is octal at 124, type at 156.
 */
import type { FileHandle } from 'node:fs/promises';
import { Fault } from '@cim/contracts';

const BLOCK = 512;

/** A file's place: byte offset and length. */
export interface Place {
  /** As its header has it; a long one is cut there. */
  readonly name: string;
  readonly offset: number;
  readonly size: number;
}

/** Places of the plain files of an archive, in its order. @throws Fault `bundle-malformed` when the walk leads past its end */
export async function placesIn(handle: FileHandle, length: number): Promise<Place[]> {
  const places: Place[] = [];
  const header = Buffer.alloc(BLOCK);
  for (let at = 0; at + BLOCK <= length; ) {
    const { bytesRead } = await handle.read(header, 0, BLOCK, at);
    if (bytesRead < BLOCK) throw new Fault('bundle-malformed', `archive: ends within a header at byte ${at}`);
    if (header[0] === 0) break;
    const digits = header
      .toString('latin1', 124, 136)
      .replace(/[\0 ]+$/, '')
      .trim();
    if (!/^[0-7]{1,12}$/.test(digits))
      throw new Fault('bundle-malformed', `archive: no octal size in the header at byte ${at}`);
    const size = Number.parseInt(digits, 8);
    const offset = at + BLOCK;
    if (offset + size > length) throw new Fault('bundle-malformed', `archive: a file at byte ${at} reaches past the end`);
    // Other types (long names) belong to the file that follows and are no file themselves.
    if (header[156] === 0x30 || header[156] === 0)
      places.push({ name: header.toString('latin1', 0, 100).replace(/\0.*$/s, ''), offset, size });
    at = offset + Math.ceil(size / BLOCK) * BLOCK;
  }
  return places;
}
