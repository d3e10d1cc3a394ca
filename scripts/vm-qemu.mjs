/**
 * The programs that run and make virtual machines: qemu and mke2fs of a fixed Debian release, whatever this system is.
 *
 * Promises:
 * V1. Nothing is installed and no right of root is needed: they lie under `.cim/vm` with every library they want, the C library among
 *     them, and are started through their own loader.
 * V2. A folder appears whole or not at all, and is made again when what it is made of changes.
 */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { must } from './place/child.mjs';
import { downloadDebianSet } from './place/debian.mjs';
import { watched } from './place/progress.mjs';
import { CACHE } from './place/root.mjs';

export const PLACE = join(CACHE, 'vm');
/** Debian's release of qemu and of the guests. 12 has a qemu whose emulation of cmpxchg16b breaks kernels, and a systemd without DelegateSubgroup. */
export const SUITE = 'trixie';
const PACKAGES = ['qemu-system-x86', 'qemu-utils', 'e2fsprogs', 'libarchive13t64', 'libc6'];
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
/** Where a partition begins, in bytes. */
const START = 2 ** 20;
const UNPACK_MS = 5 * 60_000;

/**
 * @typedef {{ folder: string, command: (program: string) => string[] }} Tools `command`: the words that start one of the programs,
 *   e.g. `usr/bin/qemu-img`
 */

/** @param {readonly unknown[]} parts @returns {string} a short name for what these make together */
export const stampOf = (...parts) => createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);

/**
 * Makes a folder under `.cim/vm` unless it is there, and removes its elders.
 * @param {string} kind e.g. `tools`
 * @param {string} stamp
 * @param {(folder: string) => Promise<void>} fill
 * @returns {Promise<string>} the folder
 */
export async function once(kind, stamp, fill) {
  const folder = join(PLACE, `${kind}-${stamp}`);
  if (existsSync(folder)) return folder;
  const fresh = `${folder}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  await fill(fresh);
  renameSync(fresh, folder);
  for (const name of readdirSync(PLACE)) {
    if (name.startsWith(`${kind}-`) && name !== basename(folder)) rmSync(join(PLACE, name), { recursive: true, force: true });
  }
  return folder;
}

/**
 * Unpacks packages over each other, everything owned by whoever runs this.
 * @param {string} debs a folder of `.deb` files @param {string} into
 */
export async function unpack(debs, into) {
  mkdirSync(into, { recursive: true });
  const script =
    'for deb in "$1"/*.deb; do dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$2" || exit 1; done';
  await must('unpacking packages', 'bash', ['-o', 'pipefail', '-c', script, 'unpack', debs, into], { timeoutMs: UNPACK_MS });
}

/** @returns {Promise<Tools>} */
export async function findTools(onStart) {
  const folder = await once('tools', stampOf(SUITE, PACKAGES), async (fresh) => {
    await watched(`fetching qemu from Debian ${SUITE}`, () =>
      downloadDebianSet(PACKAGES, { into: join(fresh, 'debs'), suite: SUITE, onStart }),
    );
    await unpack(join(fresh, 'debs'), fresh);
    rmSync(join(fresh, 'debs'), { recursive: true });
  });
  return { folder, command: (program) => throughLoader(folder, program) };
}

/**
 * The words that start a program of another Debian: its loader, its libraries, and it.
 * @param {string} folder where its packages are unpacked @param {string} program e.g. `usr/bin/qemu-img` @param {string[]} [more] folders of libraries
 */
export const throughLoader = (folder, program, more = []) => [
  join(folder, 'usr/lib64/ld-linux-x86-64.so.2'),
  '--library-path',
  [LIBRARIES, ...more].map((each) => join(folder, each)).join(':'),
  join(folder, program),
];

/** A partition table of one entry: 1 MiB in, up to the end. The kernel finds the root by its name, `PARTUUID=63696d01-01`. */
function partitionTable(bytes) {
  const sector = Buffer.alloc(512);
  sector.writeUInt32LE(0x63696d01, 440);
  sector.writeUInt8(0x83, 446 + 4);
  sector.writeUInt32LE(START / 512, 446 + 8);
  sector.writeUInt32LE((bytes - START) / 512, 446 + 12);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
}

/**
 * Writes a folder into an ext4 image, everything owned by root.
 * @param {Tools} tools @param {string} from @param {string} image
 * @param {{ label: string, mebibytes: number, partition?: boolean }} options `partition`: the file system stands in a partition
 */
export async function makeImage(tools, from, image, { label, mebibytes, partition = false }) {
  mkdirSync(dirname(image), { recursive: true });
  const start = partition ? START : 0;
  const bytes = mebibytes * 2 ** 20;
  const disk = openSync(image, 'wx');
  if (partition) writeSync(disk, partitionTable(bytes));
  ftruncateSync(disk, bytes);
  closeSync(disk);
  const options = ['-q', '-F', '-t', 'ext4', '-L', label, '-m', '0', '-b', '4096', '-E', `offset=${start}`, '-d', '-'];
  const mke2fs = [...tools.command('usr/sbin/mke2fs'), ...options, image, `${(bytes - start) / 4096}`];
  const script = 'from="$1"; shift; tar -c --sort=name --owner=root:0 --group=root:0 --numeric-owner -C "$from" . | "$@"';
  await must(`making ${basename(image)}`, 'bash', ['-o', 'pipefail', '-c', script, 'image', from, ...mke2fs], {
    timeoutMs: UNPACK_MS,
    // The machine's own settings say which features an image gets.
    env: { ...process.env, MKE2FS_CONFIG: join(tools.folder, 'etc/mke2fs.conf') },
  });
}
