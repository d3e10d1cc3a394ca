/**
 * The product as a tree, and as a read-only disk of it, laid out as nix/packages/cim.nix lays it out: bin/ with the programs, lib/cim with the packages and
 * what they need in production. It is made of what is built and installed here, so the machines run what the tests run.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { must } from './place/child.mjs';
import { SetupError, watched } from './place/progress.mjs';
import { ROOT } from './place/root.mjs';
import { makeImage, once, stampOf } from './vm-qemu.mjs';

/** Where the disk is mounted in a machine: the path that nix/offline gives the package. */
export const MOUNT = '/nix/store/00000000000000000000000000000000-cim';
const PROGRAMS = { 'cim-node-agent': 'node-agent', 'cim-registry': 'registry', alchemist: 'alchemist' };
const NOT_SHIPPED = ['testkit'];
const COPY_MS = 5 * 60_000;

/** @param {import('./vm-qemu.mjs').Tools} tools @param {string} product the folder of {@link findProduct} @returns {Promise<string>} an image of it */
export async function findProductDisk(tools, product) {
  const folder = await once('image', stampOf(product), (fresh) =>
    watched('making the disk with the product', () =>
      makeImage(tools, product, join(fresh, 'product.img'), { label: 'product', mebibytes: 1024 }),
    ),
  );
  return join(folder, 'product.img');
}

/**
 * @param {string} node the Node that the machines get @param {string} natsServer and their nats-server
 * @returns {Promise<string>} the folder
 */
export async function findProduct(node, natsServer) {
  const packages = readdirSync(join(ROOT, 'packages')).filter(
    (name) => !NOT_SHIPPED.includes(name) && existsSync(join(ROOT, 'packages', name, 'dist')),
  );
  const modules = production();
  const own = readFileSync(new URL(import.meta.url), 'utf8');
  const built = [...packages.map((name) => join(ROOT, 'packages', name)), join(ROOT, 'examples')].flatMap(stateOf);
  const stamp = stampOf(
    own,
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
    [node, natsServer].map((path) => [path, statSync(path).mtimeMs]),
    built,
  );
  const folder = await once('product', stamp, (fresh) =>
    watched('laying out the product', async () => {
      const tree = join(fresh, 'tree');
      const library = join(tree, 'lib/cim');
      for (const name of packages) {
        for (const part of ['package.json', 'dist', 'bin']) await copy(join('packages', name, part), library);
      }
      await copy('package.json', library);
      await copy('examples', library);
      for (const path of modules) await copy(path, library);
      for (const [path, target] of workspaces(packages)) {
        mkdirSync(dirname(join(library, path)), { recursive: true });
        symlinkSync(relative(dirname(path), target), join(library, path));
      }
      mkdirSync(join(tree, 'share/doc/cim'), { recursive: true });
      await must('copying', 'cp', [join(ROOT, 'docs/operating.md'), join(tree, 'share/doc/cim')], { timeoutMs: COPY_MS });
      mkdirSync(join(tree, 'bin'));
      await must('copying', 'cp', ['--reflink=auto', realpathSync(node), join(tree, 'lib/node')], { timeoutMs: COPY_MS });
      await must('copying', 'cp', ['--reflink=auto', realpathSync(natsServer), join(tree, 'lib/nats-server')], {
        timeoutMs: COPY_MS,
      });
      for (const [program, name] of Object.entries(PROGRAMS)) {
        const file = join(tree, 'bin', program);
        const { config } = JSON.parse(readFileSync(join(ROOT, 'packages', name, 'package.json'), 'utf8'));
        const start = `${MOUNT}/lib/node --no-node-snapshot ${config?.node ?? ''} ${MOUNT}/lib/cim/packages/${name}/bin/${program}.mjs`;
        writeFileSync(file, `#!/bin/bash\nexec ${start} "$@"\n`);
        chmodSync(file, 0o755);
      }
    }),
  );
  return join(folder, 'tree');
}

/** Names, sizes and times of the files below a package that are shipped. */
function stateOf(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/node_modules|\/test\/|\.tsbuildinfo$/.test(join(entry.parentPath, entry.name)))
    .map((entry) => {
      const path = join(entry.parentPath, entry.name);
      const { size, mtimeMs } = statSync(path);
      return [relative(ROOT, path), size, mtimeMs];
    })
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

/** What the lock file keeps for production on this system and npm has installed. @returns {string[]} paths of packages */
function production() {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  const wanted = Object.entries(lock).filter(
    ([path, entry]) => path.includes('node_modules/') && !entry.link && !entry.dev && !entry.devOptional,
  );
  const here = wanted.filter(([path]) => existsSync(join(ROOT, path)));
  const missing = wanted.find((one) => !here.includes(one) && !one[1].optional);
  if (missing !== undefined) throw new SetupError(`${missing[0]} is not installed`, 'npm run setup installs it.');
  return here.map(([path]) => path).filter((path) => !/^node_modules\/node-linux-/.test(path));
}

/** npm's links to our own packages. @returns {[string, string][]} link and target, from the top */
function workspaces(packages) {
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')).packages;
  return Object.entries(lock)
    .filter(([, entry]) => entry.link)
    .map(([path, entry]) => /** @type {[string, string]} */ ([path, entry.resolved]))
    .filter(([, target]) => target.startsWith('examples/') || packages.includes(target.replace('packages/', '')));
}

async function copy(path, library) {
  if (!existsSync(join(ROOT, path))) return;
  mkdirSync(dirname(join(library, path)), { recursive: true });
  await must(`copying ${path}`, 'cp', ['-a', '--reflink=auto', join(ROOT, path), dirname(join(library, path))], {
    timeoutMs: COPY_MS,
  });
}
