/**
 * The place of their own that containers get (test/vm/driver/private.py) leaves nothing behind, however its processes end: no process, no
 * control group, no folder. A machine that cannot hold containers has no such place to leave.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ROOT } from '../place/root.mjs';

const DRIVER = join(ROOT, 'test/vm/driver');
const DEADLINE_MS = 20_000;
/** Stands for the driver: has a group below and, in a session of its own, a process that ends by nothing but a kill. */
const INSIDE = `
import os, subprocess, sys, time
sys.path.insert(0, ${JSON.stringify(DRIVER)})
import private
if len(sys.argv) == 2:
    try:
        sys.exit(private.run_inside(os.path.abspath(__file__), sys.argv[1], ['ip']))
    except private.Unfit as unfit:
        print(f"unfit: {unfit}", flush=True)
        sys.exit(3)
group = private.furnish(sys.argv[2], ['ip'])
os.mkdir(os.path.join(group, "machine"))
enter = 'trap "" TERM INT HUP; echo "$$" > "$0/cgroup.procs" && exec sleep 1000'
subprocess.Popen(["sh", "-c", enter, os.path.join(group, "machine")], start_new_session=True, stdout=subprocess.DEVNULL)
with open(os.path.join(sys.argv[2], "disk"), "w") as file:
    file.write("x")
print(sys.argv[2], flush=True)
if sys.argv[1] == "end":
    sys.exit(7)
time.sleep(1000)
`;

let scratch;
let fit = false;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'cim-private-'));
  writeFileSync(join(scratch, 'inside.py'), INSIDE);
  fit =
    spawnSync(
      'python3',
      ['-c', `import sys; sys.path.insert(0, ${JSON.stringify(DRIVER)}); import private; private.find_parent(['ip'])`],
      {
        env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      },
    ).status === 0;
}, DEADLINE_MS);

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Starts it and waits until its folder is known. */
async function start(how) {
  const child = spawn('python3', [join(scratch, 'inside.py'), how], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  const ended = new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal)));
  const folder = await new Promise((resolve) => child.stdout.setEncoding('utf8').once('data', (text) => resolve(text.trim())));
  const name = folder.split('/').at(-1);
  return { child, ended, folder, name };
}

const groups = (name) => spawnSync('find', ['/sys/fs/cgroup', '-type', 'd', '-name', name], { encoding: 'utf8' }).stdout;
const mounts = (name) => readFileSync('/proc/self/mountinfo', 'utf8').includes(name);

async function gone({ folder, name }) {
  const until = Date.now() + DEADLINE_MS;
  while (existsSync(folder) || groups(name) !== '') {
    if (Date.now() > until) throw new Error(`left behind: ${existsSync(folder) ? folder : ''} ${groups(name)}`);
    await sleep(50);
  }
  expect(mounts(name)).toBe(false);
}

test('it ends by itself: its exit code is handed on, and nothing is left', { timeout: 2 * DEADLINE_MS }, async (context) => {
  if (!fit) return context.skip('this machine cannot hold containers');
  const place = await start('end');
  expect(await place.ended).toBe(7);
  await gone(place);
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL']) {
  test(`${signal} takes all of it away`, { timeout: 2 * DEADLINE_MS }, async (context) => {
    if (!fit) return context.skip('this machine cannot hold containers');
    const place = await start('stay');
    // The disks of machines are seen by nobody outside.
    expect(existsSync(join(place.folder, 'disk'))).toBe(false);
    expect(groups(place.name)).not.toBe('');
    place.child.kill(signal);
    await place.ended;
    await gone(place);
  });
}
