/**
 * isolated-vm as a cell has it: the addon itself, at the path the daemon names. The build puts this in the place of the package, so that no
 * module is looked for when a cell starts and nothing of the package but the one file need be readable.
 */
import type ivm from 'isolated-vm';

const addon: { readonly exports: { readonly ivm?: typeof ivm } } = { exports: {} };
process.dlopen(addon, process.argv[2]!);

export default addon.exports.ivm!;
