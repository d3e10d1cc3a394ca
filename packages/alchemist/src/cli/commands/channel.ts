/** `alchemist channel`: points a channel at a published version. */
import type { Command } from 'commander';
import { type CommonFlags, commonFlags, perform, type Stage, verb, withReason } from '../session.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'channel <name> <channel> <version>', {
    summary: 'point a channel at a published version',
    description: 'Points a channel at a published version. What already runs is not touched: deploy to change that.',
    examples: ['channel hello stable 1.2.0'],
  });
  commonFlags(withReason(command)).action((name: string, channel: string, version: string, flags: CommonFlags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      await (await alchemist()).registry.setChannel(name, channel, version);
      render.answer({ name, channel, version }, () => `${render.paint('set', 'good')} ${name}@${channel} is ${version}`);
      return undefined;
    }),
  );
}
