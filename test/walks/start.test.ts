/** `npm start` as a program: what it prints, what it writes, how it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory, waitFor } from '@cim/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('../../packages/fleet/dist/main.js', import.meta.url));
let directory: ReturnType<typeof temporaryDirectory>;
const started = new Set<ChildProcess>();

beforeAll(() => {
  directory = temporaryDirectory('cim-start');
});
afterAll(() => {
  for (const child of started) child.kill('SIGTERM');
  directory[Symbol.dispose]();
});

function start(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: directory.path,
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  started.add(child);
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (more) => (text += more));
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  void ended.then(() => started.delete(child));
  return { child, ended, text: () => text };
}

const alive = (pid: number) => {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};
const state = () => join(directory.path, 'state');

describe('npm start', () => {
  test('--once shows real work, every answer checked, and ends with 0', async () => {
    const run = start(['--once', '--json', '--state', state()]);
    expect(await run.ended, run.text()).toBe(0);
    const lines = run
      .text()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    const of = (kind: string) => lines.filter((line) => line.kind === kind);
    expect(of('step').map(({ step, ok }) => [step, ok])).toEqual(
      ['hub', 'leaves', 'registry', 'node-agents', 'published', 'deployed', 'seen'].map((step) => [step, true]),
    );
    expect(
      of('workload')
        .map(({ instance, name }) => `${name}@${instance}`)
        .sort(),
    ).toEqual(['doc-processor@cim-a', 'hello@cim-a', 'hello@cim-b', 'invoice-processor@cim-b']);
    expect([of('greeting').length, of('document').length, of('invoice').length, of('refused').length]).toEqual([3, 5, 7, 2]);
    expect(lines.at(-1)).toEqual({ kind: 'end', ok: true, code: 0 });
  }, 90_000);

  test('--keep finds everything still deployed, writes its ready file, and takes all along when it is killed', async () => {
    const readyFile = join(directory.path, 'ready.json');
    const run = start(['--keep', '--ready-file', readyFile, '--state', state()]);
    const ready = await waitFor(
      () => JSON.parse(readFileSync(readyFile, 'utf8')),
      60_000,
      `the ready file; so far: ${run.text()}`,
    );
    expect(run.text()).toContain('still there: hello on cim-a and cim-b');
    expect(statSync(readyFile).mode & 0o777).toBe(0o600);
    expect(ready).toMatchObject({
      registryUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      stateDirectory: state(),
      leafUrls: { 'cim-a': expect.any(String), 'cim-b': expect.any(String) },
      nodeUrls: { 'cim-a': expect.any(String), 'cim-b': expect.any(String) },
    });
    const authorized = { headers: { authorization: `Bearer ${ready.token}` } };
    const nodes = await (await fetch(`${ready.registryUrl}/api/v1/nodes`, authorized)).json();
    expect(JSON.stringify(nodes)).toContain('cim-b');

    // A process that is killed from outside comes back, and the file says so.
    const before: number = ready.pids['agent-cim-b'];
    process.kill(before, 'SIGKILL');
    const now = await waitFor(
      () => {
        const { pids } = JSON.parse(readFileSync(readyFile, 'utf8'));
        return pids['agent-cim-b'] === before ? undefined : pids;
      },
      30_000,
      'the node-agent to be back',
    );
    run.child.kill('SIGKILL');
    await run.ended;
    await waitFor(() => !(Object.values(now) as number[]).some(alive), 15_000, 'all processes to end');
  }, 120_000);

  test('a signal stops everything in order, with 0', async () => {
    const readyFile = join(directory.path, 'again.json');
    const run = start(['--keep', '--ready-file', readyFile, '--state', state()]);
    const { pids } = await waitFor(() => JSON.parse(readFileSync(readyFile, 'utf8')), 60_000, 'the ready file');
    const second = start(['--once', '--state', state()]);
    expect(await second.ended).toBe(1);
    expect(second.text()).toContain(`process ${run.child.pid} runs a fleet there`);
    run.child.kill('SIGINT');
    expect(await run.ended, run.text()).toBe(0);
    expect((Object.values(pids) as number[]).filter(alive)).toEqual([]);
  }, 120_000);
});

describe('what is wrong is said', () => {
  test.each([
    [['--twice'], 2, /Unknown option '--twice'/],
    [['--once', '--keep'], 2, /expected one of them, found both/],
  ])('%j', async (args, code, said) => {
    const run = start(args);
    expect(await run.ended).toBe(code);
    expect(run.text()).toMatch(said);
  });

  test('no nats-server', async () => {
    const run = start(['--once', '--state', join(directory.path, 'none')], { CIM_NATS_SERVER: '/bin/true' });
    expect(await run.ended).toBe(1);
    expect(run.text()).toMatch(/✗ CIM_NATS_SERVER: expected a nats-server of version 2\.10 or newer/);
    expect(run.text()).not.toContain('\u001b');
  });
});
