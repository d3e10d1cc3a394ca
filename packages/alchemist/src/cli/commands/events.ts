/** `alchemist events`: what happened, and with -f what happens. */
import type { CimEvent } from '@cim/contracts';
import type { Command } from 'commander';
import { instanceId, wholeNumber } from '../flags.ts';
import type { Paint, Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly follow?: boolean;
  readonly instance?: string;
  readonly since?: string;
  readonly limit: number;
}

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'events [pattern...]', {
    summary: 'show what happened, and with -f what happens',
    description: `Shows events of the fleet, oldest first. Patterns are <entity>.<id>.<event> with "*" and ">", e.g. agent.*.deployed or
error.*; quote them. With -f it goes on until Ctrl-C and resumes after a cut without losing or repeating one.`,
    examples: ['events', "events -f 'agent.*.deployed' 'error.*'", 'events --since 2030-01-01T00:00:00Z --json'],
  })
    .option('-f, --follow', 'until Ctrl-C')
    .option('-i, --instance <id>', 'of this instance only', instanceId)
    .option('-s, --since <time>', 'after this ISO time or sequence number')
    .option('-n, --limit <n>', 'at most so many (without -f)', wholeNumber(1, 10_000), 50);
  commonFlags(command).action((patterns: string[], flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { render } = session;
      const cim = await session.alchemist();
      const { instance, since, limit, follow } = flags;
      if (!follow) {
        const events = await cim.events({ patterns, instance, since, limit });
        render.answer({ events }, () => events.map(({ event }) => eventText(render, event)).join('\n') || 'no events');
        return undefined;
      }
      const watch = cim.watch({
        events: patterns,
        ...(instance === undefined ? {} : { instance }),
        ...(since === undefined ? {} : { since }),
        onEvent: (event, sequence) => render.item({ sequence, event }, () => eventText(render, event)),
        onError: (fault) => {
          if (fault.row.retry !== 'no') render.warning(`${fault.detail}; trying again`);
        },
      });
      await session.follow(watch.done);
      await watch.stop();
      return undefined;
    }),
  );
}

function paintOf(type: string): Paint {
  if (/\.(?:failed|refused|hub-lost)$/.test(type) || type.startsWith('error.')) return 'bad';
  if (/\.(?:restarted|limit-hit|draining|removed)$/.test(type)) return 'warn';
  return /\.(?:deployed|started|hub-found|published)$/.test(type) ? 'good' : 'plain';
}

function eventText(render: Render, { time, type, subject, ciminstance, data }: CimEvent): string {
  return [
    render.paint(time.replace('T', ' ').slice(0, 23), 'dim'),
    render.paint(ciminstance, 'strong'),
    render.paint(type, paintOf(type)),
    subject ?? '-',
    render.paint(data === undefined ? '' : JSON.stringify(data), 'dim'),
  ]
    .join('  ')
    .trimEnd();
}
