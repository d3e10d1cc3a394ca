/**
 * `npm run bench`: figures over a floor of the same run. `--json` prints one row per line, `--quick` takes fewer rounds, `--only NAME`
 * runs one part (calls, desired, start, bundles, trust, enrolment, readers, neighbours, asleep, peers, crowd). Exit code 0 also when a bar is
 * missed: a figure is a finding, not a failure; `--gate` makes a missed bar exit 1. A part that could not be measured ends it: what was found before
 * is shown, and the exit code is 1.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { asleepRows } from './asleep.ts';
import { bundleRows } from './bundles.ts';
import { callRows } from './calls.ts';
import { crowdRows } from './crowd.ts';
import { coldStartRows, desiredRows, nothingWarmRow } from './deploys.ts';
import { enrolmentRows } from './enrolment.ts';
import { neighbourRows } from './neighbours.ts';
import { peerRows } from './peers.ts';
import { readerRows } from './readers.ts';
import type { Row } from './row.ts';
import { trustRows } from './trust.ts';
import { type World, world } from './world.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    quick: { type: 'boolean' },
    gate: { type: 'boolean' },
    only: { type: 'string', multiple: true },
  },
});
const quick = values.quick ?? false;
const parts: Record<string, (here: World) => Promise<Row[]>> = {
  calls: (here) => callRows(here, quick ? 2 : 5),
  desired: (here) => desiredRows(here, quick ? 15 : 60),
  start: async (here) => [...(await coldStartRows(here, quick ? 4 : 12)), await nothingWarmRow(quick ? 2 : 6)],
  bundles: (here) => bundleRows(here, quick ? 1 : 3),
  trust: (here) => trustRows(here, quick ? 5 : 15),
  // Needs a fleet with identities.
  enrolment: () => enrolmentRows(quick ? 2 : 5, quick ? 100 : 200),
  readers: (here) => readerRows(here, quick ? 1 : 3),
  neighbours: (here) => neighbourRows(here, quick ? 5 : 15),
  // Needs a node of its own, with another configuration.
  asleep: () => asleepRows(quick ? 3 : 8),
  peers: (here) => peerRows(here, quick ? 4 : 12, 500),
  // A thousand are all a node takes as it is set up, so there may be no others.
  crowd: () => crowdRows(quick ? 150 : 1_000),
};
const chosen = values.only ?? Object.keys(parts);
for (const name of chosen) {
  if (!parts[name]) {
    process.stderr.write(`bench: --only: expected one of ${Object.keys(parts).join(', ')}, found ${name}\n`);
    process.exit(2);
  }
}
const say = (text: string) => process.stderr.write(`${text}\n`);
say(`bench on ${os.availableParallelism()} cores, Node ${process.versions.node}, load ${os.loadavg()[0]?.toFixed(1)}`);
const rows: Row[] = [];
let failed = false;
const here = await world();
try {
  for (const name of chosen) {
    say(`measuring ${name} ...`);
    try {
      const found = await parts[name]!(here);
      rows.push(...found);
      if (values.json) for (const row of found) process.stdout.write(`${JSON.stringify(row)}\n`);
    } catch (error) {
      // What was found before is not lost for it; what it left on the node would be in what comes after.
      failed = true;
      say(`${name} failed: ${(error as Error).stack}`);
      break;
    }
  }
} finally {
  await here.close();
}
if (!values.json) {
  const number = (value: number | undefined) => (value === undefined ? '' : value >= 100 ? value.toFixed(0) : value.toFixed(2));
  const cells = rows.map((row) => [
    row.name,
    `${number(row.value)} ${row.unit}`,
    number(row.floor),
    number(row.ratio),
    row.bar ?? '',
    row.goal ?? '',
    row.ok === undefined ? '' : row.ok ? 'ok' : 'MISSED',
  ]);
  const head = ['figure', 'value', 'floor', 'ratio', 'bar', 'goal', ''];
  const widths = head.map((title, i) => Math.max(title.length, ...cells.map((line) => line[i]!.length)));
  for (const line of [head, ...cells])
    process.stdout.write(
      `${line
        .map((cell, i) => cell.padEnd(widths[i]!))
        .join('  ')
        .trimEnd()}\n`,
    );
}
process.exitCode = failed || (values.gate && rows.some(({ ok }) => ok === false)) ? 1 : 0;
