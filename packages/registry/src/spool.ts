/**
 * An upload on disk while it is checked, so that memory holds chunks and never the bundle.
 *
 * Promises:
 * S1. The file has no name from the moment it is open: when the process ends, however it ends, the system takes it back.
 * S2. Bytes beyond the announced size end the upload at once.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digester, Fault, newId } from '@cim/contracts';

export interface Spool {
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  /** The bytes from the start; may be asked for more than once, one after the other. */
  read(): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** Written and read in pieces of about this many bytes: each costs a turn of the thread pool. */
const PIECE = 512 * 1024;

/**
 * Writes what comes and hashes it as it passes.
 * @param announced bytes that are to come; one more is a `digest-mismatch`
 * @throws Fault `digest-mismatch`, `storage-full`, `invalid-input` when the upload broke off
 */
export async function spool(bytes: AsyncIterable<Uint8Array>, announced: number): Promise<Spool> {
  const path = join(tmpdir(), `cim-upload-${newId()}`);
  let file: FileHandle;
  try {
    file = await open(path, 'wx+', 0o600);
  } catch (cause) {
    throw diskFault(cause);
  }
  try {
    await unlink(path);
    const hash = digester();
    let size = 0;
    let held: Uint8Array[] = [];
    let heldBytes = 0;
    const write = async () => {
      if (heldBytes === 0) return;
      const { bytesWritten } = await file.writev(held).catch((cause) => Promise.reject(diskFault(cause)));
      if (bytesWritten < heldBytes) throw diskFault({ code: 'ENOSPC' });
      held = [];
      heldBytes = 0;
    };
    for await (const chunk of arriving(bytes)) {
      size += chunk.length;
      if (size > announced)
        throw new Fault('digest-mismatch', `the body is longer than the ${announced} bytes of the signed statement`);
      hash.update(chunk);
      held.push(chunk);
      heldBytes += chunk.length;
      if (heldBytes >= PIECE) await write();
    }
    await write();
    return {
      digest: hash.digest(),
      size,
      read: () => pieces(file, size),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function* pieces(file: FileHandle, size: number): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < size; ) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(PIECE, size - position)), 0, undefined, position);
    if (bytesRead === 0) throw new Fault('storage-full', 'the temporary file is shorter than what was written to it');
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** The sender going away is the sender's fault, not ours. */
async function* arriving(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* bytes;
  } catch (cause) {
    throw new Fault('invalid-input', `the upload broke off: ${(cause as Error).message}`, { cause });
  }
}

function diskFault(cause: unknown): Fault {
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new Fault('storage-full', 'the registry has no room for the upload in its temporary directory', { cause })
    : new Fault('internal', `the upload could not be written to the temporary directory (${code ?? message})`, { cause });
}
