/** Completion scripts from the commands themselves: a new verb or flag completes by itself. Pure. */
import type { Command } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

interface Entry {
  /** Words that lead here, e.g. `["keys", "new"]`. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly children: readonly Entry[];
  readonly flags: readonly Flag[];
  /** Values of its first argument, where they are known. */
  readonly values: readonly string[];
}
interface Flag {
  readonly names: readonly string[];
  readonly description: string;
  readonly takesValue: boolean;
  readonly values: readonly string[];
}

export function completionScript(shell: Shell, program: Command): string {
  const entries = program.commands.map((command) => entryOf(command, []));
  if (shell === 'bash') return bash(entries);
  return shell === 'zsh' ? zsh(entries) : fish(entries);
}

function entryOf(command: Command, above: readonly string[]): Entry {
  const path = [...above, command.name()];
  return {
    path,
    summary: command.summary(),
    children: command.commands.map((child) => entryOf(child, path)),
    flags: [
      ...command.options.map(({ short, long, description, required, optional, argChoices }) => ({
        names: [long, short].filter((name) => typeof name === 'string'),
        description,
        takesValue: required || optional,
        values: argChoices ?? [],
      })),
      { names: ['--help', '-h'], description: 'show help', takesValue: false, values: [] },
    ],
    values: command.registeredArguments[0]?.argChoices ?? [],
  };
}

const all = (entries: readonly Entry[]): Entry[] => entries.flatMap((entry) => [entry, ...all(entry.children)]);
const names = (entry: Entry) => entry.children.map(({ path }) => path.at(-1)!);
/** Its argument is one of a few words, never a file. */
const fixed = ({ children, values }: Entry) => children.length > 0 || values.length > 0;
const words = ({ flags, values, ...entry }: Entry) =>
  [...names({ flags, values, ...entry }), ...values, ...flags.flatMap((flag) => flag.names)].join(' ');

function bash(entries: readonly Entry[]): string {
  const cases = all(entries).map(
    (entry) => `    "${entry.path.join(' ')}") words="${words(entry)}"${fixed(entry) ? '' : ' files=yes'} ;;`,
  );
  const valued = all(entries).flatMap(({ path, flags }) =>
    flags
      .filter(({ values }) => values.length > 0)
      .map(
        (flag) =>
          `    ${flag.names.map((name) => `"${path.join(' ')} ${name}"`).join('|')}) words="${flag.values.join(' ')}" ;;`,
      ),
  );
  const files = [...new Set(all(entries).flatMap(({ flags }) => flags.filter(takesFile).flatMap((flag) => flag.names)))];
  return `# bash completion for alchemist
_alchemist() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" files="" i
  for ((i = 1; i < COMP_CWORD && i < 3; i++)); do
    case "\${COMP_WORDS[i]}" in -*) break ;; esac
    path="\${path:+$path }\${COMP_WORDS[i]}"
  done
  case "$previous" in ${files.join('|')}) COMPREPLY=($(compgen -f -- "$current")); return ;; esac
  while :; do
    case "$path $previous" in
${valued.join('\n')}
    esac
    [ -n "$words" ] && break
    case "$path" in
    "") words="${entries.map(({ path }) => path[0]).join(' ')} --help --version" ;;
${cases.join('\n')}
    esac
    [ -n "$words" ] && break
    case "$path" in *" "*) path="\${path% *}" ;; *) break ;; esac
  done
  # Flags only where one has been begun, or where there is nothing else.
  case "$current" in -*) ;; *) [ "\${words#-}" = "$words" ] && words="\${words%% -*}" ;; esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "$current$files" in -*) ;; *yes) COMPREPLY+=($(compgen -f -- "$current")) ;; esac
}
complete -o filenames -F _alchemist alchemist
`;
}

const takesFile = ({ takesValue, description }: Flag) => takesValue && /\bfile\b|where to write/.test(description);

function zsh(entries: readonly Entry[]): string {
  const quote = (text: string) =>
    text.replaceAll('\\', '\\\\').replaceAll("'", "'\\''").replaceAll(':', '\\:').replaceAll('[', '\\[').replaceAll(']', '\\]');
  const flagSpecs = ({ flags }: Entry) =>
    flags.flatMap((flag) =>
      flag.names.map((name) => {
        const action =
          flag.values.length > 0
            ? `:value:(${flag.values.join(' ')})`
            : takesFile(flag)
              ? ':file:_files'
              : flag.takesValue
                ? ':value:'
                : '';
        return `'${name}[${quote(flag.description)}]${action}'`;
      }),
    );
  const list = (children: readonly Entry[]) =>
    children.map(({ path, summary }) => `'${path.at(-1)}:${quote(summary)}'`).join(' ');
  const body = (entry: Entry): string =>
    entry.children.length > 0
      ? `if (( CURRENT == 3 )); then local -a verbs; verbs=(${list(entry.children)}); _describe verb verbs; return; fi
      case "$words[3]" in
${entry.children.map((child) => `      ${child.path.at(-1)}) _arguments -s ${[...flagSpecs(child), `'*:argument:${argumentsOf(child)}'`].join(' ')} ;;`).join('\n')}
      esac`
      : `_arguments -s ${[...flagSpecs(entry), `'*:argument:${argumentsOf(entry)}'`].join(' ')}`;
  return `#compdef alchemist
_alchemist() {
  if (( CURRENT == 2 )); then
    local -a verbs
    verbs=(${list(entries)})
    _describe verb verbs
    return
  fi
  case "$words[2]" in
${entries.map((entry) => `    ${entry.path[0]})\n      ${body(entry)} ;;`).join('\n')}
  esac
}
_alchemist "$@"
`;
}

const argumentsOf = ({ values }: Entry) => (values.length > 0 ? `(${values.join(' ')})` : '_files');

function fish(entries: readonly Entry[]): string {
  const quote = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = ['# fish completion for alchemist', 'complete -c alchemist -n __fish_use_subcommand -f'];
  for (const { path, summary } of entries) {
    lines.push(`complete -c alchemist -n __fish_use_subcommand -a ${path[0]} -d ${quote(summary)}`);
  }
  for (const entry of all(entries)) {
    const when = entry.path.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    for (const child of entry.children) {
      lines.push(`complete -c alchemist -n ${quote(when)} -f -a ${child.path.at(-1)} -d ${quote(child.summary)}`);
    }
    for (const value of entry.values) lines.push(`complete -c alchemist -n ${quote(when)} -f -a ${value}`);
    for (const { names: flagNames, description, takesValue, values } of entry.flags) {
      const spelled = flagNames
        .map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`))
        .join(' ');
      const value = values.length > 0 ? ` -x -a ${quote(values.join(' '))}` : takesValue ? ' -r' : '';
      lines.push(`complete -c alchemist -n ${quote(when)} ${spelled}${value} -d ${quote(description)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
