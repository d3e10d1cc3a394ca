/** The decisions about cells, by figures; the cgroup of a cell, on a tree made up for it. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Cgroups, findCgroups } from '../../src/sandbox/cgroup.ts';
import {
  type Allowance,
  allowedBytes,
  fullAllowance,
  heaviest,
  pageBytes,
  sample,
  spend,
  stalled,
} from '../../src/sandbox/watchdog.ts';

describe('stalled', () => {
  const ping = { nonce: 1, sentAt: 1_000, cpuMs: 50 };
  test('not before the limit, then when it ran meanwhile', () => {
    expect(stalled(ping, 1_500, 550, 500)).toBe(false);
    expect(stalled(ping, 1_501, 550, 500)).toBe(true);
  });
  test('a cell the machine did not let run is given three times as long', () => {
    expect(stalled(ping, 2_400, 60, 500)).toBe(false);
    expect(stalled(ping, 2_501, 60, 500)).toBe(true);
  });
});

describe('the share of cpu', () => {
  const rested = (milliCpu: number, demand: number, ms: number): number => {
    let allowance: Allowance = fullAllowance(milliCpu);
    let used = 0;
    for (let at = 0; at < ms; at += 100) {
      const spent = allowance.resting ? 0 : 100 * demand;
      used += spent;
      allowance = spend(allowance, spent, 100, milliCpu);
    }
    return used / ms;
  };
  test('whoever stays within it is never stopped', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 8_000 }), (milliCpu) => {
        expect(rested(milliCpu, milliCpu / 1000, 60_000)).toBeCloseTo(milliCpu / 1000);
      }),
    );
  });
  test('whoever takes more ends up near it', () => {
    for (const milliCpu of [250, 1_000]) {
      const used = rested(milliCpu, 4, 120_000);
      expect(used).toBeGreaterThan(milliCpu / 1000);
      expect(used).toBeLessThan((1.4 * milliCpu) / 1000);
    }
  });
});

describe('memory of isolates that share a cell', () => {
  const mib = 2 ** 20;
  const share = (isolate: number, toldMib: number, active: boolean, limitMib = 128) => ({
    isolate,
    limitBytes: limitMib * mib,
    toldBytes: toldMib * mib,
    active,
  });
  test('what rests counts as what it had, what was entered as all it may have', () => {
    const idle = Array.from({ length: 63 }, (_, i) => share(i + 2, 3, false));
    expect(allowedBytes([share(1, 3, true), ...idle], 96 * mib) / mib).toBeCloseTo(96 + 128 + 63 * (3.3 + 2));
    expect(allowedBytes([share(1, 127, false)], 0)).toBe(128 * mib);
  });
  test('never less than what was told and allowed, never more than all limits', () => {
    const shares = fc.array(
      fc.record({ isolate: fc.nat(), limitBytes: fc.nat(2 ** 30), toldBytes: fc.nat(2 ** 31), active: fc.boolean() }),
    );
    fc.assert(
      fc.property(shares, fc.nat(2 ** 28), (all, allowance) => {
        const bytes = allowedBytes(all, allowance);
        const most = all.reduce((sum, { limitBytes }) => sum + limitBytes, allowance);
        const least = all.reduce((sum, { limitBytes, toldBytes }) => sum + Math.min(limitBytes, toldBytes), allowance);
        expect(bytes).toBeLessThanOrEqual(most);
        expect(bytes).toBeGreaterThanOrEqual(least);
      }),
    );
  });
  test('the heaviest is to blame: by what was told, and by what came since for whoever has the thread', () => {
    const told = [share(1, 100, true), share(2, 20, true), share(3, 120, false)];
    expect(heaviest(told, 250 * mib, 2)).toBe(1);
    expect(heaviest(told, 400 * mib, 2)).toBe(2);
    expect(heaviest(told, 400 * mib, undefined)).toBe(1);
    expect(heaviest(told, 900 * mib, 3)).toBe(1);
    expect(heaviest([], 900 * mib, 3)).toBeUndefined();
  });
});

describe('the kernel', () => {
  test('says what a process holds', () => {
    const page = pageBytes(process.memoryUsage.rss());
    const seen = sample(process.pid, page)!;
    expect(Math.abs(seen.rssBytes - process.memoryUsage.rss()) / seen.rssBytes).toBeLessThan(0.3);
    expect(seen.heldBytes).toBeLessThan(seen.rssBytes);
    expect(seen.cpuMs).toBeGreaterThan(0);
    expect(sample(2 ** 22 + 1, page)).toBeUndefined();
  });
});

describe('cgroups', () => {
  let mount: string;
  const put = (path: string, text: string) => writeFileSync(join(mount, path), text);
  const get = (path: string) => readFileSync(join(mount, path), 'utf8');
  beforeEach(() => {
    mount = mkdtempSync(join(tmpdir(), 'cim-cgroup-'));
    mkdirSync(join(mount, 'unit'), { recursive: true });
    put('cgroup.controllers', 'cpu memory pids');
    put('unit/cgroup.procs', '');
    put('unit/cgroup.controllers', 'cpu memory pids');
  });
  afterEach(() => rmSync(mount, { recursive: true, force: true }));

  test('a cell gets its group with all limits', () => {
    const found = findCgroups({ mount, own: '0::/unit\n' });
    expect(existsSync(join(mount, 'unit/daemon'))).toBe(true);
    expect(get('unit/cgroup.subtree_control')).toBe('+memory +cpu +pids');
    expect(get('unit/daemon/cpu.weight')).toBe('1000');
    const group = (found as Cgroups).create('cell-1');
    group.limit({ memoryBytes: 1e8, milliCpu: 1_500 });
    group.add(42);
    expect(get('unit/cell-1/memory.max')).toBe('100000000');
    expect(get('unit/cell-1/memory.swap.max')).toBe('0');
    expect(get('unit/cell-1/cpu.max')).toBe('150000 100000');
    expect(get('unit/cell-1/cgroup.procs')).toBe('42');
    expect(group.outOfMemory()).toBe(false);
    put('unit/cell-1/memory.events', 'low 0\noom 1\noom_kill 2\n');
    expect(group.outOfMemory()).toBe(true);
    group.remove();
  });

  test('a daemon that already sits below the delegated group leaves it at that', () => {
    mkdirSync(join(mount, 'unit/daemon'));
    findCgroups({ mount, own: '0::/unit/daemon\n' });
    expect(existsSync(join(mount, 'unit/daemon/daemon'))).toBe(false);
    expect(get('unit/cgroup.subtree_control')).toContain('+memory');
  });

  const mountinfo = (root: string) =>
    [
      '24 1 0:5 / /dev rw,nosuid - devtmpfs udev rw',
      `41 31 0:38 ${root} ${mount.replaceAll(' ', '\\040')} rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate`,
    ].join('\n');

  test('in a cgroup namespace the delegated group is the root of what is seen', () => {
    put('cgroup.events', 'populated 1\n');
    put('cgroup.procs', '');
    mkdirSync(join(mount, 'daemon'));
    for (const [own, mounts] of [
      ['0::/daemon\n', '/'],
      ['0::/daemon\n', '/../../system.slice/cim.service'],
      ['0::/system.slice/cim.service/daemon\n', '/system.slice/cim.service'],
    ] as const) {
      rmSync(join(mount, 'cgroup.subtree_control'), { force: true });
      expect('create' in findCgroups({ mounts: mountinfo(mounts), own }), own).toBe(true);
      expect(get('cgroup.subtree_control')).toBe('+memory +cpu +pids');
    }
  });

  test('in a cgroup namespace whose root it is itself, it makes room for itself', () => {
    put('cgroup.events', 'populated 1\n');
    put('cgroup.procs', '');
    expect('create' in findCgroups({ mounts: mountinfo('/'), own: '0::/\n' })).toBe(true);
    expect(get('daemon/cgroup.procs')).toBe('0');
    expect(get('cgroup.subtree_control')).toBe('+memory +cpu +pids');
  });

  test('who is put behind has what the others leave, and comes level again', () => {
    const group = (findCgroups({ mount, own: '0::/unit\n' }) as Cgroups).create('cell-3');
    group.behind(true);
    expect([get('unit/cell-3/cpu.weight'), get('unit/cell-3/cpu.idle')]).toEqual(['1', '1']);
    group.behind(false);
    expect([get('unit/cell-3/cpu.weight'), get('unit/cell-3/cpu.idle')]).toEqual(['100', '0']);
  });

  test('what the kernel held back is counted', () => {
    const group = (findCgroups({ mount, own: '0::/unit\n' }) as Cgroups).create('cell-2');
    expect(group.throttled()).toBe(0);
    put('unit/cell-2/cpu.stat', 'usage_usec 5\nnr_periods 40\nnr_throttled 17\nthrottled_usec 9\n');
    expect(group.throttled()).toBe(17);
  });

  test.each([
    ['there is no cgroup v2', { own: '4:memory:/x\n' }, 'no cgroup v2'],
    ['it is the root', { own: '0::/\n' }, 'root'],
    ['the group lies outside of the namespace', { own: '0::/../elsewhere\n' }, 'is not in what is mounted'],
    ['the group is not there', { own: '0::/elsewhere\n' }, 'ENOENT'],
  ])('%s: the reason is said', (_, places, reason) => {
    expect(findCgroups({ mount, ...places })).toEqual({ missing: expect.stringContaining(reason) });
  });

  test('a controller that was not delegated is named', () => {
    put('unit/cgroup.controllers', 'cpu');
    expect(findCgroups({ mount, own: '0::/unit\n' })).toEqual({ missing: 'memory, pids not delegated' });
  });
});
