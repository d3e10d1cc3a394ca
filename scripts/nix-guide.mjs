/**
 * The deployment guide's Nix blocks, cut out of it, and the machines of the goldens. Nothing is typed twice: a guide that changes changes
 * what is evaluated.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './place/root.mjs';

const HERE = join(ROOT, 'test/nix');
/** How many the guide has; fewer would mean that the knife slipped. */
export const BLOCKS = 10;

/** Example files that are one block of the guide each, by the block's place. */
export const EXAMPLES = { production: 0, minimal: 8, 'high-performance': 9 };

/** @returns {string[]} the blocks as they stand */
export function cutGuide() {
  const text = readFileSync(join(HERE, 'guide.md'), 'utf8');
  return [...text.matchAll(/^```nix\n([\s\S]*?)^```$/gm)].map((match) => match[1]);
}

/**
 * Writes the blocks and the files they read, and names them. A block that is no module of its own becomes the body of one.
 * @param {string} folder is made
 * @returns {string[]} paths, in the guide's order
 */
export function writeBlocks(folder) {
  mkdirSync(folder, { recursive: true });
  cpSync(join(HERE, 'fixtures'), folder, { recursive: true });
  return cutGuide().map((block, index) => {
    const path = join(folder, `block-${String(index + 1).padStart(2, '0')}.nix`);
    const whole = /^\{ config, pkgs, lib, \.\.\. \}:/m.test(block);
    writeFileSync(path, whole ? block : `{ config, pkgs, lib, ... }:\n{\n${block}}\n`);
    return path;
  });
}

/** @param {string[]} blocks paths @returns {Record<string, string[]>} machines by name: the modules of each */
export function machines(blocks) {
  return {
    production: blocks.slice(0, 8),
    minimal: [join(ROOT, 'examples/minimal.nix')],
    'high-performance': [join(ROOT, 'examples/high-performance.nix')],
    hub: [join(ROOT, 'examples/hub.nix')],
    leaf: [join(ROOT, 'examples/leaf.nix')],
    watched: [join(ROOT, 'examples/hub.nix'), join(ROOT, 'examples/watched.nix')],
  };
}

/** A rendered machine as text for people who read differences. */
export function golden(machine) {
  const file = (name, text) => `### ${name}\n${text.trimEnd()}\n`;
  const json = (value) => JSON.stringify(value, null, 2);
  const etc = Object.entries(machine.etc).map(([name, text]) =>
    file(`/etc/${name}`, name.endsWith('.json') ? json(JSON.parse(text)) : (text ?? '(a folder)')),
  );
  const units = Object.entries(machine.units).map(([name, text]) => file(name, text));
  const { users, groups, firewall, tmpfiles, timers, prometheus, grafana } = machine;
  return [
    ...etc,
    ...units,
    file('machine', json({ users, groups, firewall, tmpfiles, timers, prometheus, grafana })),
    file('warnings', machine.warnings.join('\n')),
  ].join('\n');
}
