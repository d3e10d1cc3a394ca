/** Who computes is put behind the others, once; a burst or many short calls are not, and calm brings one forward. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { manualClock } from '@cim/testkit';
import { expect, test } from 'vitest';
import { createOwnStanding, createStanding, placeInKernel, type Scheduled, scheduled } from '../../src/sandbox/priority.ts';

function cell(refuse: () => boolean = () => false) {
  const set: string[] = [];
  let told = 0;
  let now: Scheduled = { ranMs: 0, waitedMs: 0, pauses: 0 };
  const standing = createStanding(
    () => 7,
    (pid, place) => {
      expect(pid).toBe(7);
      if (refuse()) return false;
      set.push(place);
      return true;
    },
    () => void told++,
    () => now,
  );
  /** @param ran, waited shares of the time. @param each ms on a core between two pauses */
  const looks = (count: number, ran: number, { waited = 0, each = 50, elapsedMs = 100 } = {}) => {
    for (let i = 0; i < count; i++) {
      const ranMs = now.ranMs + elapsedMs * ran;
      now = { ranMs, waitedMs: now.waitedMs + elapsedMs * waited, pauses: now.pauses + (elapsedMs * ran) / each };
      standing.look(elapsedMs);
    }
  };
  const forward = () => {
    looks(20, 0);
    set.length = 0;
  };
  return { set, told: () => told, standing, looks, forward };
}

test('born a little behind, and forward after a while of calm; not after less', () => {
  const { set, standing, looks } = cell();
  standing.born();
  expect(set).toEqual(['born']);
  looks(4, 0);
  expect(set).toEqual(['born']);
  looks(12, 0);
  expect(set).toEqual(['born', 'calm']);
});

test('a burst of a tenth of a second changes nothing; a second at full load does, once', () => {
  const { set, looks, forward } = cell();
  forward();
  looks(1, 1);
  looks(20, 0);
  expect(set).toEqual([]);
  looks(50, 1);
  expect(set).toEqual(['computing']);
});

test('waiting for a core counts like having it: many that fight for one are not modest', () => {
  const { set, looks, forward } = cell();
  forward();
  looks(20, 0.2, { waited: 0.75 });
  expect(set).toEqual(['computing']);
});

test('many short calls are no computing, however many they are', () => {
  const { set, looks, forward } = cell();
  forward();
  looks(100, 0.9, { each: 0.5 });
  expect(set).toEqual([]);
});

test('half a core is no hog; calm brings one forward', () => {
  const { set, looks, forward } = cell();
  forward();
  looks(100, 0.45);
  expect(set).toEqual([]);
  looks(10, 1);
  looks(30, 0);
  expect(set).toEqual(['computing', 'calm']);
});

test('one long look counts for as many short ones', () => {
  const { set, looks, forward } = cell();
  forward();
  looks(1, 1, { elapsedMs: 1_000 });
  expect(set).toEqual(['computing']);
  looks(1, 0, { elapsedMs: 5_000 });
  expect(set).toEqual(['computing', 'calm']);
});

test('what the kernel did not take is said again at the next look', () => {
  let busy = true;
  const { set, standing, looks } = cell(() => busy);
  standing.born();
  looks(6, 1);
  expect(set).toEqual([]);
  busy = false;
  looks(2, 1);
  expect(set).toEqual(['computing']);
});

test('a daemon goes ahead where its session is its own, takes no shell along, and comes back to where it was', () => {
  const file = fileURLToPath(new URL('../../src/sandbox/priority.ts', import.meta.url));
  const script = `import { readFileSync } from 'node:fs'; import { getPriority } from 'node:os';
import { goAhead } from ${JSON.stringify(file)};
    const session = () => { try { return /nice (\\S+)/.exec(readFileSync('/proc/self/autogroup', 'latin1'))?.[1]; } catch {} };
    const before = session(); const back = goAhead(); const ahead = session(); back();
    console.log(JSON.stringify({ before, ahead, after: session(), own: getPriority() }));`;
  const run = (first: readonly string[]) => {
    const words = [...first, process.execPath, '--no-warnings', '--input-type=module', '-e', script];
    return JSON.parse(execFileSync(words[0]!, words.slice(1), { encoding: 'utf8', timeout: 20_000 })) as Record<
      string,
      unknown
    >;
  };
  // Each asks for its own session: the first of a machine or container has no weight to see, though every one after it has.
  const { before: ours } = run([]);
  expect(run([])).toEqual({ before: ours, ahead: ours, after: ours, own: getPriority() });
  const { before, ...led } = run(['setsid', '--wait']);
  // Only who is root may go ahead; and only where sessions are weighed at all is there something to see.
  const ahead = before === undefined ? undefined : process.getuid!() === 0 ? '-10' : before;
  expect(led).toEqual({ ahead, after: before, own: getPriority() });
});

test('the daemon is ahead while a cell computes and ten seconds longer, and not before', async () => {
  const clock = manualClock();
  const said: string[] = [];
  const own = createOwnStanding(clock, () => {
    said.push('ahead');
    return () => void said.push('back');
  });
  own.stop();
  expect(said).toEqual([]);
  for (let looks = 0; looks < 300; looks++) {
    own.computes();
    await clock.advance(100);
  }
  await clock.advance(9_899);
  expect(said).toEqual(['ahead']);
  await clock.advance(1);
  expect(said).toEqual(['ahead', 'back']);
  own.computes();
  expect(said).toEqual(['ahead', 'back', 'ahead']);
  own.stop();
  own.stop();
  expect(said).toEqual(['ahead', 'back', 'ahead', 'back']);
  expect(clock.waiting()).toBe(0);
});

test('who computes is told of at the first look, and at every one; who answers many short calls is not', () => {
  const { told, looks, forward } = cell();
  forward();
  looks(100, 0.9, { each: 0.5 });
  looks(100, 0.45);
  expect(told()).toBe(0);
  looks(1, 0.9);
  expect(told()).toBe(1);
  looks(5, 0.2, { waited: 0.7 });
  expect(told()).toBe(6);
});

test('a real process: what it did is counted, and it is put behind and forward, and we are not', async () => {
  const child = spawn(process.execPath, ['-e', "process.stdout.write('x'); for (;;);"], { stdio: 'pipe', detached: true });
  const near = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
  try {
    await once(child.stdout, 'data');
    const pid = child.pid!;
    const first = scheduled(pid)!;
    await expect
      .poll(() => scheduled(pid)!.ranMs + scheduled(pid)!.waitedMs, { timeout: 20_000 })
      .toBeGreaterThan(first.ranMs + 200);
    const groups: boolean[] = [];
    const place = placeInKernel((behind) => groups.push(behind));
    const session = (who: number | 'self') => {
      try {
        return /nice (\S+)/.exec(readFileSync(`/proc/${who}/autogroup`, 'latin1'))?.[1];
      } catch {
        return undefined;
      }
    };
    const ours = [session('self'), getPriority()];
    const sessions = ours[0] !== undefined;
    await expect.poll(() => place(pid, 'born'), { timeout: 20_000 }).toBe(true);
    expect(getPriority(pid)).toBe(getPriority());
    if (sessions) expect(session(pid)).toBe('5');
    await expect.poll(() => place(pid, 'computing'), { timeout: 20_000 }).toBe(true);
    expect(getPriority(pid)).toBe(10);
    await expect.poll(() => place(pid, 'calm'), { timeout: 20_000 }).toBe(true);
    if (sessions) expect(session(pid)).toBe('0');
    expect(groups.filter((behind, i) => behind !== groups[i - 1])).toEqual([true, false]);
    // A process of our own session does not take us along.
    place(near.pid!, 'computing');
    expect(getPriority(near.pid!)).toBe(10);
    expect([session('self'), getPriority()]).toEqual(ours);
    expect(scheduled(2 ** 22 + 1)).toBeUndefined();
  } finally {
    child.kill('SIGKILL');
    near.kill('SIGKILL');
  }
});
