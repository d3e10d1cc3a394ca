/** `alchemist logs`: lines of workloads as they are said. */
import type { LogLine } from '@cim/contracts';
import { type Command, Option } from 'commander';
import { duration, instanceId } from '../flags.ts';
import type { Paint, Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly follow?: boolean;
  readonly for: string;
  readonly instance?: string;
  readonly level?: LogLine['level'];
}

const paints: Record<LogLine['level'], Paint> = { debug: 'dim', info: 'plain', warn: 'warn', error: 'bad' };

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'logs [workload]', {
    summary: 'show log lines of workloads as they are said',
    description: `Shows log lines as they are said: lines are live and not kept. Without -f it listens for a while (--for) and ends;
with -f until Ctrl-C.`,
    examples: ['logs -f', 'logs hello -f --instance cim-a --level warn', 'logs hello --for 10s --json'],
  })
    .option('-f, --follow', 'until Ctrl-C')
    .option('--for <time>', 'how long to listen without -f', duration, '5s')
    .option('-i, --instance <id>', 'of this instance only', instanceId)
    .addOption(new Option('-l, --level <level>', 'this level and worse').choices(['debug', 'info', 'warn', 'error']));
  commonFlags(command).action((workload: string | undefined, flags: Flags) =>
    perform(stage, flags, async (session) => {
      const { render, around } = session;
      const cim = await session.alchemist();
      const { parseDuration } = await import('@cim/contracts');
      const ended = Promise.withResolvers<void>();
      const watch = await cim.logs({
        instance: flags.instance,
        workload,
        level: flags.level,
        onLine: (line) => render.item(line, () => lineText(render, line)),
        onEnd: (fault) => (fault ? ended.reject(fault) : ended.resolve()),
      });
      render.note(flags.follow ? 'listening; Ctrl-C ends it' : `listening for ${flags.for}`);
      const period = flags.follow ? [] : [around.clock.sleep(parseDuration(flags.for)!)];
      await session.follow(Promise.race([ended.promise, ...period]));
      watch.stop();
      return undefined;
    }),
  );
}

function lineText(render: Render, { time, instance, workload, replica, level, message, fields }: LogLine): string {
  const facts = Object.entries(fields)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
  const from = `${instance}/${workload}#${replica}`;
  return [
    render.paint(time.slice(11, 23), 'dim'),
    render.paint(level.padEnd(5), paints[level]),
    render.paint(from, 'strong'),
    render.paint(message, paints[level]),
    render.paint(facts, 'dim'),
  ]
    .join(' ')
    .trimEnd();
}
