/** The real nats-server for tests: where it is, and one process of it on a port it chose itself. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { leafLimitsKept, systemClock, waitUntil } from '../src/index.ts';

const CACHE = new URL('../../../.cim/nats-server/', import.meta.url).pathname;

/** In this order: what CIM_NATS_SERVER names, PATH, the newest under `.cim/nats-server/`; one that keeps leaves to their limits first. */
function find(): string | undefined {
  const chosen = process.env['CIM_NATS_SERVER'];
  if (chosen) return chosen;
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), '/usr/sbin', '/usr/local/sbin'];
  const onPath = folders.map((folder) => join(folder, 'nats-server')).filter((path) => existsSync(path));
  const fetched = (existsSync(CACHE) ? readdirSync(CACHE, { recursive: true, encoding: 'utf8' }) : [])
    .map((path) => join(CACHE, path))
    .filter((path) => path.endsWith('/nats-server') && statSync(path).isFile())
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  const all = [...onPath, ...fetched]
    .map((path) => ({ path, run: spawnSync(path, ['--version'], { encoding: 'utf8' }) }))
    .filter(({ run }) => run.status === 0);
  const keeps = all.find(({ run }) => leafLimitsKept(/v?(\d+\.\d+\.\d+)/.exec(run.stdout)?.[1] ?? ''));
  return (keeps ?? all[0])?.path;
}

export const natsServer = find();
if (natsServer === undefined) {
  // By hand, on a machine without one, the rest may be tested; in CI what is skipped would look like what passed.
  if (process.env['CI']) throw new Error('no nats-server: npm run setup, or name one in CIM_NATS_SERVER');
  process.stderr.write('\nNO NATS-SERVER: what needs one is skipped. Run `npm run setup`, or name one in CIM_NATS_SERVER.\n\n');
}

/** A folder that is gone when the test is. */
function scratch(): { readonly directory: string; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'cim-contracts-'));
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Runs `nats-server -t -c`: what it says, and whether the file is good. */
export function checkConfig(text: string): { readonly good: boolean; readonly output: string } {
  const { directory, remove } = scratch();
  try {
    const file = join(directory, 'nats.conf');
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync(natsServer!, ['-t', '-c', file], { encoding: 'utf8', timeout: 20_000 });
    return { good: status === 0, output: `${stdout}${stderr}` };
  } finally {
    remove();
  }
}

/** Starts one with a configuration whose port is -1, so that no two tests can want the same. */
export async function startNats(
  config: (directory: string) => string,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const { directory, remove } = scratch();
  const file = join(directory, 'nats.conf');
  writeFileSync(file, config(directory));
  const child = spawn(natsServer!, ['-c', file, '--ports_file_dir', directory], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async () => {
    child.kill('SIGKILL');
    await gone;
    remove();
  };
  const ports = () => readdirSync(directory).find((name) => name.endsWith('.ports'));
  let url: string | undefined;
  const up = await waitUntil(systemClock, 20_000, () => {
    const name = ports();
    if (name === undefined) return child.exitCode !== null;
    try {
      url = (JSON.parse(readFileSync(join(directory, name), 'utf8')) as { nats: string[] }).nats[0];
    } catch {
      // It is still being written.
    }
    return url !== undefined;
  });
  if (up && url !== undefined) return { url, stop };
  await stop();
  throw new Error(`nats-server did not come up: ${said}`);
}
