/** `alchemist instance`: lets a machine into the fleet. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface EnrolFlags extends CommonFlags {
  readonly serves: string[];
  readonly valid: string;
  readonly out?: string;
}

const collect = (value: string, before: string[]) => [...before, value];

export function register(program: Command, stage: Stage): void {
  const instance = program
    .command('instance')
    .summary('let a machine into the fleet')
    .description('Lets a machine into the fleet, and shows what it may.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const enroll = verb(instance, 'enroll', {
    summary: 'order a one-time enrolment token',
    description:
      'Orders a one-time token with which a machine gets a credential for keys of its own. The token is good for this instance, once, and shown only here. What the instance may answer has to be said: --serves for each capability pattern, --serves ">" for any.',
    examples: [
      "instance enroll cim-prod-001 --serves 'document.*' --serves greeting.say",
      "instance enroll cim-b --serves '>' --out token",
    ],
  })
    .argument('<id>', 'the instance')
    .option('--serves <pattern>', 'capability pattern it may answer; again for more, "none" for none', collect, [])
    .option('--valid <time>', 'how long the token may be used', '24h')
    .option('--out <file>', 'write the token to this file instead of showing it');
  commonFlags(enroll).action((id: string, flags: EnrolFlags) =>
    perform(stage, flags, async ({ io, render, alchemist }) => {
      const [{ orderEnrolment }, { writeNew }] = await Promise.all([
        import('../../instance/enrol.ts'),
        import('../../hub/files.ts'),
      ]);
      const { registry } = await alchemist();
      const given = await orderEnrolment(registry, { instance: id, serves: flags.serves, valid: flags.valid });
      if (given.serves.includes('>'))
        render.warning(`${id} may answer every capability: whoever takes this machine can answer any call of the fleet`);
      const file = flags.out === undefined ? undefined : resolve(io.cwd, flags.out);
      if (file !== undefined) writeNew(file, `${given.token}\n`);
      const { token, ...rest } = given;
      render.answer(file === undefined ? given : { ...rest, file }, () =>
        [
          `instance   ${id}`,
          `serves     ${given.serves.join(' ') || '(nothing)'}`,
          `until      ${given.expiresAt}`,
          file === undefined ? `token      ${token}` : `token      ${file} (only you can read it)`,
          '',
          'on the machine:',
          `  cim-node-agent enrol --config /etc/cim/config.json --registry ${registry.url} --token-file TOKEN`,
        ].join('\n'),
      );
      return undefined;
    }),
  );

  const show = verb(instance, 'show', {
    summary: 'the keys of an instance and what it may serve',
    examples: ['instance show cim-prod-001'],
  }).argument('<id>', 'the instance');
  commonFlags(show).action((id: string, flags: CommonFlags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const record = await (await alchemist()).registry.identity(id);
      const time = (seconds: number) => new Date(seconds * 1000).toISOString();
      render.answer(record, () =>
        [
          `instance   ${record.instance}`,
          `serves     ${record.serves.join(' ') || '(nothing)'}`,
          `enrolled   ${record.enrolledAt}`,
          ...(record.revokedAt === undefined ? [] : [render.paint(`revoked    ${record.revokedAt}`, 'bad')]),
          ...record.keys.map(
            ({ key, issuedAt, expiresAt }) => `key        ${key} from ${time(issuedAt)} to ${time(expiresAt)}`,
          ),
        ].join('\n'),
      );
      return undefined;
    }),
  );
}
