/**
 * The root that all test machines start from: a plain Debian with systemd, unpacked from its packages. No maintainer script runs, so
 * nothing needs root or a chroot; the little they would have done is done here. For containers it stays a folder, and systemd-nspawn of the same
 * Debian lies in it; for emulated machines it becomes a disk, with a kernel beside it.
 */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { must } from './place/child.mjs';
import { downloadDebianSet } from './place/debian.mjs';
import { SetupError, watched } from './place/progress.mjs';
import { ROOT } from './place/root.mjs';
import { makeImage, once, SUITE, stampOf, throughLoader, unpack } from './vm-qemu.mjs';

const HERE = join(ROOT, 'test/vm/guest');
const PACKAGES = [
  'base-files base-passwd bash coreutils dash diffutils findutils grep gzip hostname iproute2 kmod libc-bin mawk mount',
  'procps sed systemd systemd-sysv tar util-linux curl jq libstdc++6 bubblewrap',
].flatMap((line) => line.split(' '));
const NSPAWN = 'systemd-container';
const KERNEL = 'linux-image-cloud-amd64';
/** What the cloud kernel leaves out of itself and every machine needs: the network card. In the order of loading. */
const MODULES = ['net/core/failover', 'drivers/net/net_failover', 'drivers/net/virtio_net'];
const SHORT_MS = 60_000;
const COPY_MS = 5 * 60_000;
const MEBIBYTES = 3072;

/**
 * What containers start from.
 * @returns {Promise<{ root: string, nspawn: string[], ip: string[] }>} the root's folder; the words that start systemd-nspawn and iproute2's ip
 */
export async function findRoot(onStart) {
  const files = readdirSync(HERE).map((name) => [name, readFileSync(join(HERE, name), 'utf8')]);
  const own = readFileSync(new URL(import.meta.url), 'utf8');
  const folder = await once('guest', stampOf(SUITE, PACKAGES, NSPAWN, files, own), async (fresh) => {
    const debs = await once('packages', stampOf(SUITE, PACKAGES, NSPAWN), (into) =>
      watched(`fetching Debian ${SUITE} for the guests`, () =>
        downloadDebianSet(PACKAGES, { into: join(into, 'debs'), suite: SUITE, alone: [NSPAWN], onStart }),
      ),
    );
    await watched('making the root of the guests', () => build(join(debs, 'debs'), join(fresh, 'root')));
  });
  const root = join(folder, 'root');
  const nspawn = throughLoader(root, 'usr/bin/systemd-nspawn', ['usr/lib/x86_64-linux-gnu/systemd']);
  return { root, nspawn, ip: throughLoader(root, 'usr/bin/ip') };
}

/** What emulated machines start from. @param {import('./vm-qemu.mjs').Tools} tools @returns {Promise<{ image: string, kernel: string }>} */
export async function findDisk(tools, onStart) {
  const { root } = await findRoot(onStart);
  const folder = await once('disk', stampOf(root, KERNEL, MODULES, MEBIBYTES), async (fresh) => {
    await watched('fetching a kernel for the guests', () =>
      downloadDebianSet(['base-files'], { into: join(fresh, 'debs'), suite: SUITE, alone: [KERNEL], onStart }),
    );
    await watched('making the root disk of the guests', async () => {
      await unpack(join(fresh, 'debs'), join(fresh, 'kernel'));
      await must('copying the root', 'cp', ['-a', '--reflink=auto', root, join(fresh, 'root')], { timeoutMs: COPY_MS });
      await takeKernel(join(fresh, 'kernel'), join(fresh, 'root'), join(fresh, 'vmlinuz'));
      await makeImage(tools, join(fresh, 'root'), join(fresh, 'root.img'), {
        label: 'root',
        mebibytes: MEBIBYTES,
        partition: true,
      });
    });
    for (const made of ['debs', 'kernel', 'root']) rmSync(join(fresh, made), { recursive: true });
  });
  return { image: join(folder, 'root.img'), kernel: join(folder, 'vmlinuz') };
}

async function build(debs, root) {
  await unpack(debs, root);
  const path = (name) => join(root, name);
  for (const name of ['passwd', 'group']) copyFileSync(path(`usr/share/base-passwd/${name}.master`), path(`etc/${name}`));
  writeFileSync(path('etc/shadow'), 'root:*:19000:0:99999:7:::\n', { mode: 0o640 });
  writeFileSync(path('etc/nsswitch.conf'), 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n');
  writeFileSync(path('etc/fstab'), '');
  symlinkSync('mawk', path('usr/bin/awk'));
  mkdirSync(path('etc/systemd/journald.conf.d'), { recursive: true });
  writeFileSync(path('etc/systemd/journald.conf.d/cim-vm.conf'), '[Journal]\nStorage=volatile\nRateLimitBurst=0\nAudit=no\n');
  const units = path('etc/systemd/system');
  for (const unit of readFileSync(join(HERE, 'masked'), 'utf8').split('\n')) {
    if (unit !== '' && !unit.startsWith('#')) symlinkSync('/dev/null', join(units, unit));
  }
  symlinkSync('/usr/lib/systemd/system/multi-user.target', join(units, 'default.target'));
  copyFileSync(join(HERE, 'cim-vm-shell.service'), join(units, 'cim-vm-shell.service'));
  mkdirSync(join(units, 'sysinit.target.wants'), { recursive: true });
  symlinkSync('../cim-vm-shell.service', join(units, 'sysinit.target.wants/cim-vm-shell.service'));
  mkdirSync(path('usr/lib/cim-vm'), { recursive: true });
  for (const name of ['init', 'shell']) {
    copyFileSync(join(HERE, name), path(`usr/lib/cim-vm/${name}`));
    chmodSync(path(`usr/lib/cim-vm/${name}`), 0o755);
  }
  for (const unread of ['doc', 'man', 'locale', 'info', 'lintian', 'bash-completion', 'zsh'])
    rmSync(path(`usr/share/${unread}`), { recursive: true, force: true });
}

/** The kernel boots from outside the disk; of its modules a few are kept, unpacked, since no index of them is made. */
async function takeKernel(from, root, kernel) {
  const name = readdirSync(join(from, 'boot')).find((file) => file.startsWith('vmlinuz-'));
  if (name === undefined) throw new SetupError(`${KERNEL} holds no /boot/vmlinuz-*`);
  renameSync(join(from, 'boot', name), kernel);
  const modules = join(from, 'usr/lib/modules', name.slice('vmlinuz-'.length), 'kernel');
  for (const module of MODULES) {
    const target = join(root, 'usr/lib/cim-vm', `${module.split('/').at(-1)}.ko`);
    await must('unpacking a module', 'bash', ['-c', 'xz -dc "$1" > "$2"', 'module', join(modules, `${module}.ko.xz`), target], {
      timeoutMs: SHORT_MS,
      advice: 'The program xz is in the package xz-utils.',
    });
  }
}
