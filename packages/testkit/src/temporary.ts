/** A directory that is gone when the test is. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface TemporaryDirectory extends Disposable {
  readonly path: string;
}

export function temporaryDirectory(name = 'cim-test'): TemporaryDirectory {
  const path = mkdtempSync(join(realpathSync(tmpdir()), `${name}-`));
  return {
    path,
    // A process that is just ending may still write: tried again for a moment.
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 }),
  };
}
