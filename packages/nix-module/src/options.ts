/**
 * The options of nix/modules as data: `options.json` is written from them by `node scripts/nix-check.mjs --update`, and a check fails when
 * it is not what they say.
 */
import type { FieldIssue } from '@cim/contracts';
import { optionPath } from './option-path.ts';
import list from './options.json' with { type: 'json' };

export interface Option {
  /** Path; `<name>` and `*` stand for any name. */
  readonly name: string;
  /** Nix' own name of the type, e.g. `null or string`. */
  readonly type: string;
  /** Whether it must be set. */
  readonly required: boolean;
}

export const options: readonly Option[] = list;

const parsed = options.map(({ name, type }) => ({ names: name.split('.'), free: /attribute set|JSON|submodule/.test(type) }));
const any = (token: string) => token === '*' || (token.startsWith('<') && token.endsWith('>'));

/** What is wrong with option paths of ours; those of NixOS itself are its to judge. */
export function checkOptions(given: Readonly<Record<string, unknown>>): FieldIssue[] {
  return Object.keys(given).flatMap((path) => {
    const names = optionPath(path);
    if (names[0] !== 'cim' || known(names)) return [];
    return [{ path, message: `no such option${nearest(names)}` }];
  });
}

function known(names: readonly string[]): boolean {
  return parsed.some(({ names: option, free }) => {
    const shared = Math.min(option.length, names.length);
    for (let i = 0; i < shared; i++) if (!any(option[i]!) && option[i] !== names[i]) return false;
    // Shorter: a set of options given at once. Longer: inside a value that is free.
    return names.length <= option.length || free;
  });
}

/** The longest known beginning, and what may follow it. */
function nearest(names: readonly string[]): string {
  for (let length = names.length - 1; length > 0; length--) {
    const head = names.slice(0, length);
    const next = new Set(
      parsed
        .filter(({ names: option }) => option.length > length && head.every((name, i) => any(option[i]!) || option[i] === name))
        .map(({ names: option }) => option[length]!),
    );
    if (next.size > 0)
      return `; under ${head.join('.')} there ${next.size === 1 ? 'is' : 'are'} ${[...next].sort().join(', ')}`;
  }
  return '';
}
