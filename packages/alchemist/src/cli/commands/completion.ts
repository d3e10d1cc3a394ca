/** `alchemist completion`: a script that teaches a shell the verbs and flags. */
import { Argument, type Command } from 'commander';
import { completionScript, type Shell } from '../completion.ts';
import { commonFlags, perform, type Stage, verb } from '../session.ts';

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'completion', {
    summary: 'print a completion script for a shell',
    description: 'Prints a script that teaches a shell the verbs and their flags.',
    examples: [
      'completion bash > ~/.local/share/bash-completion/completions/alchemist',
      'completion zsh > ~/.zfunc/_alchemist',
      'completion fish > ~/.config/fish/completions/alchemist.fish',
    ],
  }).addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']));
  commonFlags(command).action((shell: Shell, flags: { json?: boolean }) =>
    perform(stage, flags, async ({ render }) => {
      const script = completionScript(shell, program);
      render.answer({ shell, script }, () => script);
      return undefined;
    }),
  );
}
