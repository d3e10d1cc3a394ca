/**
 * A package of Debian, unpacked into the checkout: without root, without installing it, and without a trace in the system's apt.
 *
 * Promises:
 * D1. apt runs with its own source list, lists, cache and status, all under `.cim`; of the system's configuration it keeps
 *     what concerns the way out (proxies, certificates), and neither pins nor hooks.
 * D2. apt checks the archive's signature with the system's own keys. It is never told to trust blindly.
 * D3. The mirror is the one the system already uses; only the suite is ours to choose.
 * D4. A package appears whole under its folder or not at all.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { capture, must } from './child.mjs';
import { SetupError } from './progress.mjs';
import { CACHE } from './root.mjs';
import { mainArchives, parseList, parseStanzas, renderStanza } from './sources.mjs';

/** Newer suites than most systems', the steadier one first. */
const SUITES = ['trixie', 'forky'];

const APT = join(CACHE, 'apt');
const UPDATE_MS = 300_000;
const DOWNLOAD_MS = 300_000;
const SHORT_MS = 30_000;
/** Debian's own keys, by the names its releases gave the file. */
const KEYRINGS = ['/usr/share/keyrings/debian-archive-keyring.gpg', '/usr/share/keyrings/debian-archive-keyring.pgp'];

/**
 * Fetches a package and unpacks it.
 * @param {string} name the binary package, e.g. `nats-server`
 * @param {{ into?: string, suites?: readonly string[], onStart?: (pid: number) => void, accept?: (folder: string) => Promise<string | undefined> }} [options]
 *   `into`: the folder that will hold `usr/...`, by default `.cim/<name>`;
 *   `suites`: by default the system's own, then {@link SUITES}; `accept` looks at the unpacked files and returns what is wrong
 *   with them, then the next suite is tried
 * @returns {Promise<string>} `into`
 * @throws SetupError with the words of each attempt
 */
export async function fetchDebianPackage(name, { into = join(CACHE, name), suites, onStart, accept } = {}) {
  await fromArchives(name, suites, (archive) => attempt(name, { into, ...archive, onStart, accept }));
  return into;
}

/**
 * Downloads packages with everything they depend on, as for a system that has nothing yet. Nothing is unpacked.
 * @param {readonly string[]} names binary packages
 * @param {{ into: string, suite: string, alone?: readonly string[], onStart?: (pid: number) => void }} options `into`: the folder that will
 *   hold the `.deb` files, whole or not at all; `alone`: packages that come without what they depend on, but with what they only point to
 *   (linux-image-cloud-amd64 points to the kernel of today)
 * @throws SetupError with the words of each attempt
 */
export async function downloadDebianSet(names, { into, suite, alone = [], onStart }) {
  const downloads = `${into}.new`;
  const top = `${APT}-set`;
  await fromArchives(names[0], [suite], async (archive) => {
    try {
      rmSync(downloads, { recursive: true, force: true });
      mkdirSync(join(downloads, 'partial'), { recursive: true });
      const config = writeConfig(renderStanza(archive), top);
      await apt('apt-get update', config, ['update', '--error-on=any'], { timeoutMs: UPDATE_MS, onStart });
      const install = [
        'install',
        '--yes',
        '--no-install-recommends',
        '--download-only',
        '-o',
        `Dir::Cache::archives=${downloads}`,
      ];
      await apt('apt-get install --download-only', config, [...install, ...names], { timeoutMs: DOWNLOAD_MS, onStart });
      for (const name of alone) {
        const told = await must('apt-cache depends', 'apt-cache', ['-c', config, 'depends', name], { timeoutMs: SHORT_MS });
        const real = /^\s*\|?Depends: (linux-image-\S+)/m.exec(told)?.[1] ?? name;
        await apt('apt-get download', config, ['download', real], { cwd: downloads, timeoutMs: DOWNLOAD_MS, onStart });
      }
      for (const left of ['partial', 'lock']) rmSync(join(downloads, left), { recursive: true, force: true });
      rmSync(into, { recursive: true, force: true });
      renameSync(downloads, into);
      return undefined;
    } catch (error) {
      if (error instanceof SetupError) return explain(error.message, suite);
      throw error;
    } finally {
      rmSync(downloads, { recursive: true, force: true });
    }
  });
}

/** Tries each suite at each archive of this system until one attempt has nothing to complain of. */
async function fromArchives(what, suites, attemptAt) {
  const { code, output } = await capture('dpkg', ['--print-architecture'], { timeoutMs: SHORT_MS });
  if (code !== 0) throw new SetupError('this system has no dpkg');
  const architecture = output.trim();
  const archives = mainArchives(readSources());
  if (archives.length === 0) throw new SetupError("none of apt's sources on this system is Debian's main archive");
  const failures = [];
  // What this system's own release carries fits its libraries best.
  for (const suite of suites ?? new Set([...archives.flatMap((archive) => archive.suites), ...SUITES])) {
    for (const { uris, signedBy } of attempts(archives)) {
      const failure = await attemptAt({ suite, uris, signedBy, architecture });
      if (failure === undefined) return;
      failures.push(`${suite}: ${failure}`);
    }
  }
  throw new SetupError(`${what} could not be had from Debian's archive:\n${failures.join('\n')}`);
}

/** Each archive with its own key, then with Debian's whole keyring, which knows newer releases too. */
function attempts(archives) {
  const keyring = KEYRINGS.find((path) => existsSync(path));
  const seen = new Set();
  const all = [];
  for (const { uris, signedBy } of archives) {
    for (const key of [signedBy ?? keyring, keyring]) {
      const mark = JSON.stringify([uris, key]);
      if (!seen.has(mark)) all.push({ uris, signedBy: key });
      seen.add(mark);
    }
  }
  return all;
}

/** @returns {Promise<string | undefined>} why it did not work, or undefined when the package lies in its folder */
async function attempt(name, { into, suite, uris, signedBy, architecture, onStart, accept }) {
  const unpacked = `${into}.new`;
  const downloads = join(APT, 'downloads');
  try {
    rmSync(downloads, { recursive: true, force: true });
    rmSync(unpacked, { recursive: true, force: true });
    const config = writeConfig(renderStanza({ uris, suite, architecture, signedBy }));
    await apt('apt-get update', config, ['update', '--error-on=any'], { timeoutMs: UPDATE_MS, onStart });
    await apt('apt-get download', config, ['download', name], { cwd: downloads, timeoutMs: DOWNLOAD_MS, onStart });
    const file = readdirSync(downloads).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) return `apt-get download brought no ${name}`;
    mkdirSync(unpacked, { recursive: true });
    await must('dpkg -x', 'dpkg', ['-x', join(downloads, file), unpacked], { timeoutMs: SHORT_MS, onStart });
    const fault = await accept?.(unpacked);
    if (fault !== undefined) return fault;
    rmSync(into, { recursive: true, force: true });
    mkdirSync(dirname(into), { recursive: true });
    renameSync(unpacked, into);
    return undefined;
  } catch (error) {
    if (error instanceof SetupError) return explain(error.message, suite);
    throw error;
  } finally {
    rmSync(downloads, { recursive: true, force: true });
    rmSync(unpacked, { recursive: true, force: true });
  }
}

function explain(message, suite) {
  if (!/NO_PUBKEY|not signed|Missing key|signatures? (?:couldn't|could not) be verified/i.test(message)) return message;
  return `${message}\nThe keys on this system do not know ${suite}: update the package debian-archive-keyring.`;
}

function apt(what, config, args, options) {
  return must(what, 'apt-get', ['-c', config, '-q', ...args], {
    env: { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' },
    ...options,
  });
}

/**
 * Writes apt's whole configuration. It is read after the system's, so that it has the last word.
 * @param {string} stanza
 * @param {string} top where it and all that apt keeps will be
 * @returns {string} the path for `-c`
 */
function writeConfig(stanza, top = APT) {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'nothing', 'downloads']) {
    mkdirSync(join(top, folder), { recursive: true });
  }
  writeFileSync(join(top, 'debian.sources'), stanza);
  writeFileSync(join(top, 'status'), '');
  const config = join(top, 'apt.conf');
  const settings = {
    'Dir::Etc::SourceList': join(top, 'debian.sources'),
    'Dir::Etc::SourceParts': join(top, 'nothing'),
    'Dir::Etc::Preferences': '/dev/null',
    'Dir::Etc::PreferencesParts': join(top, 'nothing'),
    'Dir::State': join(top, 'state'),
    'Dir::State::lists': join(top, 'state/lists'),
    'Dir::State::status': join(top, 'status'),
    'Dir::Cache': join(top, 'cache'),
    'Dir::Cache::archives': join(top, 'cache/archives'),
    // As root apt would hand the download to a user that may not read a home directory.
    'APT::Sandbox::User': 'root',
    // A mirror may be a snapshot, whose dates have run out while its signature holds.
    'Acquire::Check-Valid-Until': 'false',
    'Acquire::AllowInsecureRepositories': 'false',
    'Acquire::AllowWeakRepositories': 'false',
    'Acquire::AllowDowngradeToInsecureRepositories': 'false',
    'Acquire::Languages': 'none',
    'Acquire::PDiffs': 'false',
    'Acquire::Retries': '3',
    'Acquire::http::Timeout': '30',
    'Acquire::https::Timeout': '30',
  };
  const hooks = [
    'APT::Update::Pre-Invoke',
    'APT::Update::Post-Invoke',
    'APT::Update::Post-Invoke-Success',
    'Acquire::IndexTargets::deb::DEP-11',
  ];
  const lines = [
    ...hooks.map((hook) => `#clear ${hook};`),
    ...Object.entries(settings).map(([key, value]) => `${key} "${value}";`),
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  return config;
}

/** Every source of this system; a system without apt has none. */
function readSources() {
  const sources = [];
  const files = ['/etc/apt/sources.list'];
  try {
    files.push(
      ...readdirSync('/etc/apt/sources.list.d')
        .sort()
        .map((name) => `/etc/apt/sources.list.d/${name}`),
    );
  } catch {
    // No such folder: the one file may still be there.
  }
  for (const file of files) {
    if (!existsSync(file)) continue;
    if (file.endsWith('.list')) sources.push(...parseList(readFileSync(file, 'utf8')));
    else if (file.endsWith('.sources')) sources.push(...parseStanzas(readFileSync(file, 'utf8')));
  }
  return sources;
}
