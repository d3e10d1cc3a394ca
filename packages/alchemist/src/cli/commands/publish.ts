/** `alchemist publish`: builds, signs and uploads. */
import type { Command } from 'commander';
import { bytes } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb, withReason } from '../session.ts';
import { bundleAt } from '../source.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'publish [dir|file]', {
    summary: 'build, sign and upload a bundle',
    description: `Builds a project (default: here) or takes a file built before (*.cim), signs it with the publisher key where it is not
signed yet, and uploads it. A published version never changes; publishing the very same bytes again is no error.`,
    examples: ['publish', 'publish ./hello --channel stable', 'publish hello-1.0.0.cim'],
  }).option('-c, --channel <name>', 'point this channel at the version afterwards');
  commonFlags(withReason(command)).action((path: string | undefined, flags: CommonFlags & { channel?: string }) =>
    perform(stage, flags, async (session) => {
      const { render, alchemist, io } = session;
      const built = await bundleAt(session, path ?? '.');
      const bar = render.progress(`upload ${built.manifest.name}@${built.manifest.version}`);
      const published = await (await alchemist())
        .publish(built, {
          onProgress: bar.update,
          signal: io.signal,
          ...(flags.channel === undefined ? {} : { channel: flags.channel }),
        })
        .finally(bar.end);
      const channel = flags.channel === undefined ? {} : { channel: flags.channel };
      render.answer({ ...published, ...channel }, () => {
        const { name, version, kind, digest, size, created } = published;
        return [
          `${render.paint(created ? 'published' : 'was published already', created ? 'good' : 'warn')} ${name}@${version} (${kind}, ${bytes(size)})${flags.channel === undefined ? '' : `, ${flags.channel} points at it`}`,
          `digest  ${digest}`,
        ].join('\n');
      });
      return undefined;
    }),
  );
}
