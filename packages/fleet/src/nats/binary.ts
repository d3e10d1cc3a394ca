/**
 * Finds the nats-server to run: what CIM_NATS_SERVER names, PATH and the system's own folders, then what the set-up put into
 * `.cim/nats-server` of the checkout. One that keeps leaves to their limits comes before one that does not. A choice made by hand is never
 * passed over.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Fault, leafLimitsKept } from '@cim/contracts';
import { environment } from '../machine/surroundings.ts';

/** The oldest nats-server CIM stands on. */
const FLOOR = [2, 10] as const;
/** Where systems put servers; a plain user's PATH often leaves them out. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin', '/usr/local/bin'];
const CHECKOUT = fileURLToPath(new URL('../../../../', import.meta.url));
const run = promisify(execFile);

export interface NatsBinary {
  readonly path: string;
  readonly version: string;
}

const found = new Map<string, Promise<NatsBinary>>();

/** @throws Fault `configuration-invalid` that says what was looked at and what to do */
export function findNatsServer(chosen = environment['CIM_NATS_SERVER']): Promise<NatsBinary> {
  const key = chosen ?? '';
  let search = found.get(key);
  if (!search) {
    search = look(key);
    found.set(key, search);
    search.catch(() => found.delete(key));
  }
  return search;
}

async function look(chosen: string): Promise<NatsBinary> {
  const unfit: string[] = [];
  let older: NatsBinary | undefined;
  for (const path of chosen === '' ? candidates() : [chosen]) {
    if (chosen === '' && !existsSync(path)) continue;
    const version = await versionOf(path);
    if (version !== undefined && isFit(version)) {
      if (chosen !== '' || leafLimitsKept(version)) return { path, version };
      older ??= { path, version };
      continue;
    }
    unfit.push(`${path} (${version === undefined ? 'does not run' : `version ${version}`})`);
  }
  if (older !== undefined) return older;
  const seen = unfit.length === 0 ? 'none found on PATH' : `found ${unfit.join(', ')}`;
  throw new Fault(
    'configuration-invalid',
    chosen === ''
      ? `nats-server: expected version ${FLOOR.join('.')} or newer, ${seen}; install it (npm run setup fetches it on Debian) or name it in CIM_NATS_SERVER`
      : `CIM_NATS_SERVER: expected a nats-server of version ${FLOOR.join('.')} or newer, ${seen}`,
  );
}

function* candidates(): Generator<string> {
  const folders = [...(environment['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), ...SYSTEM_FOLDERS];
  for (const folder of new Set(folders)) yield join(folder, 'nats-server');
  yield* within(join(CHECKOUT, '.cim', 'nats-server'), 4);
}

function* within(folder: string, depth: number): Generator<string> {
  if (depth < 0 || !existsSync(folder)) return;
  for (const name of readdirSync(folder).sort()) {
    const path = join(folder, name);
    const what = statSync(path, { throwIfNoEntry: false });
    if (what?.isFile() && name === 'nats-server') yield path;
    else if (what?.isDirectory()) yield* within(path, depth - 1);
  }
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await run(path, ['--version'], { timeout: 10_000 });
    return /v?(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1];
  } catch {
    return undefined;
  }
}

function isFit(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > FLOOR[0] || (major === FLOOR[0] && minor >= FLOOR[1]);
}
