/**
 * What a cell says on its standard error: the end of it is kept, since an engine that gives up says there why. Nothing else honest is said
 * there.
 */
import type { Readable } from 'node:stream';

const KEPT_BYTES = 4096;
/** An engine that gives up says a few thousand bytes. */
const MOST = 2 ** 20;

export class LastWords {
  #text = '';

  /** @param flood told when it says more than anything honest would */
  constructor(stream: Readable | null, flood: (detail: string) => void) {
    let said = 0;
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.length;
      if (said > MOST) flood(`said more than ${MOST} bytes on standard error`);
      else this.#text = (this.#text + chunk.toString('utf8')).slice(-KEPT_BYTES);
    });
  }

  get text(): string {
    return this.#text.trim();
  }
}
