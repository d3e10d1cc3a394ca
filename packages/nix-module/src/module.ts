/**
 * A NixOS module from data: a header that says what made it, imports, and options set to values.
 *
 * Promises:
 * M1. Every option is one CIM or NixOS declares: what begins with `cim.` is checked against the options of nix/modules (options.ts), so
 *     that a typing error is found here and not on the machine.
 * M2. The text is in the formatter's own form (nixfmt, RFC 166) as far as data goes: one attribute a line, two spaces.
 */
import { Fault } from '@cim/contracts';
import { optionPath } from './option-path.ts';
import { checkOptions } from './options.ts';
import { type NixValue, nixPath, renderName, renderNix } from './value.ts';

export interface ModuleParts {
  /** What the reader should know: who made it from what. Each line becomes a comment. */
  readonly header?: readonly string[];
  /** Files beside it, e.g. `./hardware.nix`. */
  readonly imports?: readonly string[];
  /** Option path to value: `{ 'cim.instance.id': 'leaf-1', 'services.nats.enable': true }`. Dots part; a name with a dot is quoted. */
  readonly options: Readonly<Record<string, NixValue>>;
}

/** @throws Fault `invalid-input` naming every option that is unknown or has a value Nix cannot say */
export function renderModule({ header = [], imports = [], options }: ModuleParts): string {
  const issues = checkOptions(options);
  if (issues.length > 0) {
    const detail = issues.map(({ path, message }) => `${path}: ${message}`).join('; ');
    throw new Fault('invalid-input', detail, { issues });
  }
  const comment = header.flatMap((line) => line.split(/[\r\n\u2028\u2029]/)).map((line) => `# ${line}`.trimEnd());
  const lines = Object.entries(options)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, value]) => `  ${optionPath(path).map(renderName).join('.')} = ${renderNix(value, '  ', path)};`);
  return [
    ...comment,
    '{',
    ...(imports.length === 0
      ? []
      : [`  imports = ${renderNix(imports.map(nixPath), '  ')};`, ...(lines.length > 0 ? [''] : [])]),
    ...lines,
    '}',
    '',
  ].join('\n');
}
