/** `alchemist catalog`: what is published. */
import type { Command } from 'commander';
import type { CatalogItem } from '../../registry/answers.ts';
import { ago, bytes, cell } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb } from '../session.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'catalog [name]', {
    summary: 'list published bundles, or the versions of one',
    examples: ['catalog', 'catalog hello'],
  });
  commonFlags(command).action((name: string | undefined, flags: CommonFlags) =>
    perform(stage, flags, (session) => (name === undefined ? all(session) : one(session, name))),
  );
}

const channelsOf = ({ channels }: CatalogItem, version?: string) =>
  Object.entries(channels)
    .filter(([, at]) => version === undefined || at === version)
    .map(([channel, at]) => (version === undefined ? `${channel}=${at}` : channel))
    .join(' ') || '-';

async function all({ render, alchemist }: Session): Promise<undefined> {
  const bundles = await (await alchemist()).catalog();
  const rows = bundles.map((item) => [
    cell(item.name, 'strong'),
    item.kind,
    item.versions[0]?.version ?? '-',
    channelsOf(item),
    `${item.versions.length}`,
    item.description ?? '-',
  ]);
  const text =
    rows.length === 0
      ? 'nothing is published yet: alchemist publish <dir>'
      : await render.table(['name', 'kind', 'newest', 'channels', 'versions', 'description'], rows);
  render.answer({ bundles }, () => text);
}

async function one({ render, alchemist, around }: Session, name: string): Promise<undefined> {
  const item = await (await alchemist()).registry.catalogItem(name);
  const now = around.clock.now();
  const rows = item.versions.map(({ version, digest, size, publishedAt, publishedBy }) => [
    cell(version, 'strong'),
    channelsOf(item, version),
    bytes(size),
    ago(now - Date.parse(publishedAt)),
    publishedBy,
    digest.slice(0, 19),
  ]);
  const text = await render.table(['version', 'channels', 'size', 'published', 'by', 'digest'], rows);
  render.answer(item, () => text);
}
