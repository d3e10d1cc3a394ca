#!/usr/bin/env node
/**
 * Proves what can be proven of nix/ on a machine without NixOS: one line for each check with its time, exit code 1 when one fails.
 *
 *   node scripts/nix-check.mjs            check
 *   node scripts/nix-check.mjs --update   write goldens, permissions and option docs anew, then check
 *
 * NIXPKGS_LIB=<nixpkgs>/lib evaluates every machine with nixpkgs' own module system too and compares.
 * Promises:
 * X1. What was not checked is printed as skipped, with the reason.
 * X2. Everything happens in a folder of its own that is removed; nix has a store of its own under .cim.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks } from './nix-checks.mjs';
import { findNix } from './nix-tools.mjs';

const update = process.argv.includes('--update');
const unknown = process.argv.slice(2).filter((argument) => argument !== '--update');
if (unknown.length > 0) {
  process.stderr.write(`nix-check: unknown argument ${unknown[0]}; known: --update\n`);
  process.exit(2);
}

const scratch = mkdtempSync(join(tmpdir(), 'cim-nix-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130));
// Whoever reads only the first lines ends us, and ends us cleanly.
process.stdout.once('error', () => process.exit(1));
const began = Date.now();
const seconds = (since) => `${((Date.now() - since) / 1000).toFixed(1)} s`.padStart(7);
let failed = 0;
let skipped = 0;
try {
  const nix = await findNix();
  process.stdout.write(`nix ${nix.version}\n`);
  const context = { nix, scratch, update, parallel: Math.min(2, availableParallelism()), shared: new Map() };
  for (const { name, run } of checks) {
    const started = Date.now();
    try {
      const said = await run(context);
      process.stdout.write(`  ok      ${seconds(started)}  ${name}${said ? `: ${said}` : ''}\n`);
    } catch (error) {
      const skip = error?.name === 'Skipped';
      if (skip) skipped++;
      else failed++;
      const words = (error instanceof Error ? error.message : String(error)).replaceAll('\n', '\n                     ');
      process.stdout.write(`  ${skip ? 'skipped' : 'FAILED '} ${seconds(started)}  ${name}: ${words}\n`);
    }
  }
} catch (error) {
  failed++;
  process.stderr.write(`nix-check: ${error instanceof Error ? error.message : String(error)}\n`);
}
process.stdout.write(
  `${failed === 0 ? 'nix-check passed' : `nix-check: ${failed} failed`}, ${skipped} skipped, ${seconds(began).trim()}\n`,
);
process.exitCode = failed === 0 ? 0 : 1;
