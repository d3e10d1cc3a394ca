/**
 * Gives each entry of a package-lock.json the address it comes from. The committed lock names packages and their integrity and no registry;
 * Nix' fetcher wants addresses. Pure: the same lock and registry give the same bytes.
 *
 *   node complete-lock.mjs <package-lock.json> <registry> > completed.json
 */
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

/**
 * @param {{ packages: Record<string, any> }} lock of version 3
 * @param {string} registry e.g. what `npm config get registry` prints
 */
export function completeLock(lock, registry) {
  const base = registry.replace(/\/+$/, '');
  const packages = {};
  for (const [place, entry] of Object.entries(lock.packages)) {
    const own = place === '' || entry.link === true || !place.includes('node_modules/');
    if (own) {
      packages[place] = entry;
      continue;
    }
    if (!entry.integrity || !entry.version) throw new Error(`${place}: expected version and integrity`);
    const name = entry.name ?? place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
    const file = `${name.slice(name.indexOf('/') + 1)}-${entry.version}.tgz`;
    packages[place] = { ...entry, resolved: entry.resolved ?? `${base}/${name}/-/${file}` };
  }
  return { ...lock, packages };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , file, registry] = process.argv;
  if (file === undefined || registry === undefined) {
    process.stderr.write('usage: complete-lock.mjs <package-lock.json> <registry>\n');
    process.exit(2);
  }
  process.stdout.write(`${JSON.stringify(completeLock(JSON.parse(readFileSync(file, 'utf8')), registry), null, 2)}\n`);
}
