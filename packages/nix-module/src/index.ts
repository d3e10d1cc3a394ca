/** The door of nix-module: data in, Nix text out; and what tells whether options and schemas are the same. */
export { type Drift, keysOf, settingsDrift } from './drift.ts';
export { type ModuleParts, renderModule } from './module.ts';
export { checkOptions, type Option, options } from './options.ts';
export { type NixValue, nixPath, renderName, renderNix } from './value.ts';
