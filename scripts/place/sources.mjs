/**
 * Where this machine gets its Debian packages from, read out of apt's own files, so that no address stands in the project.
 * Pure: text in, sources out.
 *
 * Both forms are read: one line a source (`deb [signed-by=/k.gpg] <uri> <suite> main`) and deb822 stanzas.
 */

/**
 * @typedef {{ uris: string[], suites: string[], components: string[], signedBy?: string }} Source one enabled binary source;
 *   `signedBy` is a path, a fingerprint, or a whole key with its line breaks, as apt takes it
 */

/** @param {string} text a `.list` file @returns {Source[]} */
export function parseList(text) {
  const sources = [];
  for (const raw of text.split('\n')) {
    const line = raw.replace(/#.*$/, '').trim();
    const found = /^deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*(.*)$/.exec(line);
    if (found === null) continue;
    const [, options = '', uri, suite, components] = found;
    const signedBy = /(?:^|\s)signed-by=(\S+)/.exec(options)?.[1];
    sources.push({
      uris: [uri],
      suites: [suite],
      components: words(components),
      ...(signedBy === undefined ? {} : { signedBy }),
    });
  }
  return sources;
}

/** @param {string} text a `.sources` file @returns {Source[]} */
export function parseStanzas(text) {
  const sources = [];
  const kept = text.split('\n').filter((line) => !line.startsWith('#'));
  for (const stanza of kept.join('\n').split(/\n\s*\n/)) {
    const fields = fieldsOf(stanza);
    if (!words(fields.get('types')).includes('deb')) continue;
    if (/^(no|false|off|0|without|disable)$/i.test(fields.get('enabled')?.trim() ?? '')) continue;
    const signedBy = fields.get('signed-by')?.trim();
    sources.push({
      uris: words(fields.get('uris')),
      suites: words(fields.get('suites')),
      components: words(fields.get('components')),
      ...(signedBy === undefined || signedBy === '' ? {} : { signedBy }),
    });
  }
  return sources;
}

/** A line that starts with a space goes on with the field above it. @param {string} stanza @returns {Map<string, string>} */
function fieldsOf(stanza) {
  const fields = new Map();
  let name;
  for (const line of stanza.split('\n')) {
    const found = /^([A-Za-z][A-Za-z0-9-]*):(.*)$/.exec(line);
    if (found !== null) {
      name = found[1].toLowerCase();
      fields.set(name, found[2]);
    } else if (name !== undefined && /^\s/.test(line)) {
      fields.set(name, `${fields.get(name)}\n${line}`);
    }
  }
  return fields;
}

/** @param {string | undefined} text */
function words(text) {
  return (text ?? '').split(/\s+/).filter((word) => word !== '');
}

/** Names of Debian's releases: what a source of Debian's main archive has as its suite. */
const RELEASES = /^(buster|bullseye|bookworm|trixie|forky|duke|sid|oldoldstable|oldstable|stable|testing|unstable)$/;

/**
 * The sources that are Debian's main archive itself: not its security or updates side, not another vendor's, not a disc.
 * @param {readonly Source[]} sources
 * @returns {Source[]}
 */
export function mainArchives(sources) {
  return sources
    .map((source) => ({
      ...source,
      uris: source.uris.filter((uri) => !uri.startsWith('cdrom:')),
      suites: source.suites.filter((suite) => RELEASES.test(suite)),
    }))
    .filter(({ uris, suites, components }) => uris.length > 0 && components.includes('main') && suites.length > 0);
}

/**
 * One stanza for apt, pointing the same mirror at another suite.
 * @param {{ uris: readonly string[], suite: string, architecture: string, signedBy?: string }} source
 * @returns {string}
 */
export function renderStanza({ uris, suite, architecture, signedBy }) {
  const lines = [
    'Types: deb',
    `URIs: ${uris.join(' ')}`,
    `Suites: ${suite}`,
    'Components: main',
    `Architectures: ${architecture}`,
  ];
  if (signedBy !== undefined) lines.push(`Signed-By: ${signedBy}`);
  return `${lines.join('\n')}\n`;
}
