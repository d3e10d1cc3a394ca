/** `alchemist sign` and `alchemist submit`: a document goes from operator to operator, and then to the registry. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { duration } from '../flags.ts';
import { seconds } from '../render.ts';
import { type CommonFlags, commonFlags, type Ending, perform, type Session, type Stage, verb } from '../session.ts';

interface SubmitFlags extends CommonFlags {
  readonly wait: boolean;
  readonly timeout?: string;
}

export function registerSign(program: Command, stage: Stage): void {
  const command = verb(program, 'sign <file>', {
    summary: 'add your signature to a document another operator wrote',
    description: `Shows what a document says (written with --out by deploy, undeploy, secrets or trust) and adds the signatures of your operator keys. Needs no
registry: it can be done on a machine that has no network.`,
    examples: ['sign hello.json', 'sign hello.json --operator-seed /media/key/operator.seed'],
  }).option('--operator-seed <file...>', 'keys to sign with, instead of those of the profile');
  commonFlags(command).action((file: string, flags: CommonFlags) =>
    perform(stage, flags, (session) => signFile(session, file)),
  );
}

export function registerSubmit(program: Command, stage: Stage): void {
  const command = verb(program, 'submit <file>', {
    summary: 'give a document that operators signed to the registry',
    description: 'Gives a document to the registry that enough operators signed: a deployment or a trust document.',
    examples: ['submit hello.json'],
  })
    .option('--no-wait', 'do not wait for the node')
    .option('--timeout <time>', 'longest wait (default: 60s)', duration);
  commonFlags(command).action((file: string, flags: SubmitFlags) =>
    perform(stage, flags, (session) => submitFile(session, file, flags)),
  );
}

export async function signFile({ io, render, alchemist }: Session, name: string): Promise<Ending> {
  const [{ linesOf, readPaper, signPaper, writePaper }, { signerOf }, { Fault }] = await Promise.all([
    import('../../trust/papers.ts'),
    import('../../keys.ts'),
    import('@cim/contracts'),
  ]);
  const file = resolve(io.cwd, name);
  const { operatorSeedFiles } = (await alchemist()).profile;
  if (operatorSeedFiles.length === 0)
    throw new Fault('invalid-input', 'no operator key is set: alchemist keys new operator, or --operator-seed <file>');
  const paper = signPaper(await readPaper(file), operatorSeedFiles.map(signerOf));
  await writePaper(file, paper);
  render.answer({ file, ...paper }, () => [...linesOf(paper), `written   ${file}`].join('\n'));
  return undefined;
}

export async function submitFile(
  { io, render, alchemist }: Session,
  name: string,
  { wait, timeout }: Pick<SubmitFlags, 'wait' | 'timeout'>,
): Promise<Ending> {
  const { readPaper } = await import('../../trust/papers.ts');
  const paper = await readPaper(resolve(io.cwd, name));
  const cim = await alchemist();
  if (paper.kind === 'trust') {
    const { sequence } = paper.record.document;
    const { changed } = await cim.trust.publish(paper.record);
    render.answer({ kind: 'trust', sequence, changed }, () =>
      changed ? render.paint(`published document ${sequence}`, 'good') : `document ${sequence} stands already`,
    );
    return undefined;
  }
  const result = await cim.submit(paper, {
    wait,
    onStep: render.step,
    signal: io.signal,
    ...(timeout === undefined ? {} : { timeout }),
  });
  const { version, instance, elapsedMs } = result;
  const what = `${result.name}@${version} on ${instance}`;
  render.answer(result, () =>
    wait ? `${render.paint('done', 'good')} ${what} in ${seconds(elapsedMs)}` : `${render.paint('stored', 'good')} ${what}`,
  );
  return undefined;
}
