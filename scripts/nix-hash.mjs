#!/usr/bin/env node
/**
 * Writes nix/packages/npm-deps-hash: the hash Nix' fetcher of npm packages must come to for this package-lock.json, without Nix' packages.
 *
 *   node scripts/nix-hash.mjs           compute and write
 *   node scripts/nix-hash.mjs --check   say whether the file goes with the lock as it is now; fetches nothing
 *
 * Promises:
 * H1. Bytes come from npm's own cache or through npm, each checked against the lock's integrity.
 * H2. The file holds the hash and, on a second line, the digest of the lock it was made from; a lock that changed is seen without a network.
 * Format: fetchNpmDeps of nixpkgs, fetcher version 1: npm's cache (content-v2, index-v5) with entries of time 0, the lock beside it,
 * hashed as a Nix archive (nix.dev, "Nix Archive format").
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { completeLock } from '../nix/packages/complete-lock.mjs';
import { capture, must } from './place/child.mjs';
import { CACHE, ROOT } from './place/root.mjs';

const FILE = join(ROOT, 'nix/packages/npm-deps-hash');
const LOCK = join(ROOT, 'package-lock.json');
const FETCH_MS = 120_000;
const SHORT_MS = 30_000;
/** Packages npm is asked for at a time. */
const BATCH = 20;
const ALGORITHMS = ['sha512', 'sha256', 'sha1'];

const sha = (algorithm, data) => createHash(algorithm).update(data);

/** The digest on the second line. */
export const lockDigest = () => sha('sha256', readFileSync(LOCK)).digest('hex');

/** @returns {boolean} true when the written hash belongs to the lock of now */
export function hashIsFresh() {
  return existsSync(FILE) && readFileSync(FILE, 'utf8').split('\n')[1] === lockDigest();
}

function contentPath(cache, integrity) {
  const [algorithm, base64] = integrity.split('-', 2);
  const hex = Buffer.from(base64, 'base64').toString('hex');
  return join(cache, 'content-v2', algorithm, hex.slice(0, 2), hex.slice(2, 4), hex.slice(4));
}

const strongest = (integrity) =>
  ALGORITHMS.flatMap((algorithm) => integrity.split(/\s+/).filter((each) => each.startsWith(`${algorithm}-`)))[0];

/** npm's own default, from npm itself: what a build finds where nobody configured another. */
async function defaultRegistry() {
  const root = (await must('npm root -g', 'npm', ['root', '-g', '--loglevel=error'], { timeoutMs: SHORT_MS }))
    .trim()
    .split('\n')
    .at(-1);
  const require = createRequire(join(root, 'npm/package.json'));
  const { definitions } = require('@npmcli/config/lib/definitions');
  return definitions.registry.default;
}

async function compute() {
  const lock = completeLock(JSON.parse(readFileSync(LOCK, 'utf8')), await defaultRegistry());
  const text = `${JSON.stringify(lock, null, 2)}\n`;
  const wanted = new Map();
  for (const [place, { resolved, integrity, version, name }] of Object.entries(lock.packages)) {
    if (!resolved?.startsWith('http') || wanted.has(resolved)) continue;
    const own = name ?? place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
    wanted.set(resolved, { integrity: strongest(integrity), spec: `${own}@${version}` });
  }
  const theirs = (
    await must('npm config get cache', 'npm', ['config', 'get', 'cache', '--loglevel=error'], { timeoutMs: SHORT_MS })
  ).trim();
  const caches = [join(theirs.split('\n').at(-1), '_cacache'), join(CACHE, 'npm/_cacache')];
  const find = (integrity) => caches.map((cache) => contentPath(cache, integrity)).find((path) => existsSync(path));
  const missing = [...wanted.values()].filter(({ integrity }) => find(integrity) === undefined).map(({ spec }) => spec);
  for (let start = 0; start < missing.length; start += BATCH) {
    const batch = missing.slice(start, start + BATCH);
    process.stdout.write(`fetching ${start + batch.length} of ${missing.length}\n`);
    await capture('npm', ['cache', 'add', '--cache', dirname(caches[1]), '--loglevel=error', ...batch], {
      timeoutMs: FETCH_MS,
      cwd: CACHE,
    });
  }
  const tree = new Map([['package-lock.json', Buffer.from(text)]]);
  for (const [url, { integrity, spec }] of wanted) {
    const path = find(integrity);
    if (path === undefined) throw new Error(`${spec} could not be fetched with the integrity of the lock`);
    const data = readFileSync(path);
    const [algorithm, base64] = integrity.split('-', 2);
    if (sha(algorithm, data).digest('base64') !== base64)
      throw new Error(`${spec}: npm's cache holds other bytes; npm cache verify`);
    tree.set(contentPath('_cacache', integrity), data);
    const key = `make-fetch-happen:request-cache:${url}`;
    const place = sha('sha256', key).digest('hex');
    const entry = JSON.stringify({
      key,
      integrity,
      time: 0,
      size: data.length,
      metadata: { url, options: { compress: true } },
    });
    tree.set(
      `_cacache/index-v5/${place.slice(0, 2)}/${place.slice(2, 4)}/${place.slice(4)}`,
      Buffer.from(`${sha('sha1', entry).digest('hex')}\t${entry}`),
    );
  }
  return { hash: `sha256-${narHash(tree)}`, count: wanted.size };
}

/** Hash of a folder as a Nix archive. @param {Map<string, Buffer>} files by path */
export function narHash(files) {
  const root = new Map();
  for (const [path, data] of files) {
    const names = path.split('/');
    let folder = root;
    for (const name of names.slice(0, -1)) {
      if (!folder.has(name)) folder.set(name, new Map());
      folder = folder.get(name);
    }
    folder.set(names.at(-1), data);
  }
  const hash = createHash('sha256');
  const word = (value) => {
    const data = Buffer.from(value);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(data.length));
    hash
      .update(length)
      .update(data)
      .update(Buffer.alloc((8 - (data.length % 8)) % 8));
  };
  const words = (...values) => values.forEach(word);
  const node = (entry) => {
    if (!(entry instanceof Map)) return words('(', 'type', 'regular', 'contents', entry, ')');
    words('(', 'type', 'directory');
    for (const name of [...entry.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
      words('entry', '(', 'name', name, 'node');
      node(entry.get(name));
      word(')');
    }
    word(')');
  };
  word('nix-archive-1');
  node(root);
  return hash.digest('base64');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  if (process.argv.includes('--check')) {
    process.exitCode = hashIsFresh() ? 0 : 1;
    process.stdout.write(
      hashIsFresh()
        ? 'npm-deps-hash goes with package-lock.json\n'
        : 'npm-deps-hash is older than package-lock.json: node scripts/nix-hash.mjs\n',
    );
  } else {
    const digest = lockDigest();
    const { hash, count } = await compute();
    writeFileSync(FILE, `${hash}\n${digest}\n`);
    process.stdout.write(`${hash} (${count} packages)\n`);
  }
}
