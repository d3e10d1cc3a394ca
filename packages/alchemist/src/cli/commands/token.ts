/** `alchemist token`: makes, lists and revokes tokens of the registry. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Role, TokenRequest, TokenScope, TokenView } from '@cim/contracts';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type Cell, cell, type Render } from '../render.ts';
import { type CommonFlags, commonFlags, perform, type Session, type Stage, verb, withReason } from '../session.ts';

interface CreateFlags extends CommonFlags {
  readonly role: readonly Role[];
  readonly scope?: TokenScope;
  readonly expires?: string;
  readonly out?: string;
}

const ROLES = ['viewer', 'publisher', 'operator', 'admin'] as const;
const FIELDS = ['workloads', 'instances', 'capabilities'] as const;

export function register(program: Command, stage: Stage): void {
  const token = program
    .command('token')
    .summary('make, list and revoke tokens of the registry')
    .description('Makes, lists and revokes tokens of the registry. Needs a token with the role admin.')
    .helpOption('-h, --help', 'show this')
    .helpCommand(false);

  const create = verb(token, 'create <name>', {
    summary: 'make a token',
    description: `Makes a token and prints it, this once: the registry keeps its hash alone. A scope narrows what its roles allow to
workloads, instances and capabilities whose names fit ("*" stands for any run of characters).`,
    examples: [
      'token create ci --role publisher --scope workloads=billing-* --expires 90d',
      'token create ops --role operator --scope instances=cim-eu-* --out ./ops.token --reason "new in the team"',
    ],
  })
    .addOption(new Option('--role <role...>', 'what it allows').choices(ROLES).makeOptionMandatory())
    .addOption(
      new Option(
        '--scope <field=patterns>',
        'what it is good for, e.g. workloads=billing-*,shop; may be given again',
      ).argParser(scopeFlag),
    )
    .option('--expires <time>', 'when it ends: a length of time such as 90d, or an ISO time (default: never)')
    .option('-o, --out <file>', 'write the token to a file only you can read instead of printing it');
  commonFlags(withReason(create)).action((name: string, flags: CreateFlags) =>
    perform(stage, flags, (session) => make(session, name, flags)),
  );

  const list = verb(token, 'list', { summary: 'list the tokens', examples: ['token list'] });
  commonFlags(list).action((flags: CommonFlags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const tokens = await (await alchemist()).registry.tokens();
      const text = render.json ? '' : await table(render, tokens);
      render.answer({ tokens }, () => text);
      return undefined;
    }),
  );

  const revoke = verb(token, 'revoke <id>', {
    summary: 'revoke a token, at once and for good',
    description: 'Revokes a token: from now on it changes nothing, at any registry of the hub. Revoking it again is no error.',
    examples: ['token revoke 3f9c2a7be01d4455 --reason "laptop lost"'],
  });
  commonFlags(withReason(revoke)).action((id: string, flags: CommonFlags) =>
    perform(stage, flags, async ({ render, alchemist }) => {
      const revoked = await (await alchemist()).registry.revokeToken(id);
      render.answer(revoked, () => `${render.paint('revoked', 'good')} ${revoked.name} (${id}), ${revoked.revokedAt}`);
      return undefined;
    }),
  );
}

async function make({ render, alchemist, around, io }: Session, name: string, flags: CreateFlags): Promise<undefined> {
  const { role, scope, expires, out } = flags;
  const expiresAt = expires === undefined ? undefined : await endOf(expires, around.clock.now());
  const request = {
    name,
    roles: [...new Set(role)],
    ...(scope === undefined ? {} : { scope }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
  } as TokenRequest;
  const made = await (await alchemist()).registry.createToken(request);
  const { token, ...view } = made;
  if (out !== undefined) {
    const file = resolve(io.cwd, out);
    await writeFile(file, `${token}\n`, { mode: 0o600, flag: 'wx' });
    render.answer({ ...view, file }, () => `${render.paint('made', 'good')} ${name} (${made.id}), written to ${file}`);
    return undefined;
  }
  render.note(`${name} (${made.id}): keep it now, it is not shown again`);
  render.answer(made, () => token);
  return undefined;
}

/** `90d` or an ISO time, as an ISO time. @throws Fault */
async function endOf(text: string, now: number): Promise<string> {
  const { Fault, parseDuration } = await import('@cim/contracts');
  const length = parseDuration(text);
  const at = length === undefined ? Date.parse(text) : now + length;
  if (!Number.isNaN(at)) return new Date(at).toISOString();
  const message = `expected a length of time such as "90d" or a time such as "2027-01-31T12:00:00Z", found "${text}"`;
  throw new Fault('invalid-input', `--expires: ${message}`, { issues: [{ path: '--expires', message }] });
}

/** Gathers `--scope workloads=a,b --scope instances=c`. */
function scopeFlag(text: string, before: TokenScope = {}): TokenScope {
  const [field = '', patterns = ''] = text.split(/=(.*)/s);
  const known = FIELDS.find((one) => one === field);
  const list = patterns.split(',').filter((one) => one !== '');
  if (known === undefined || list.length === 0)
    throw new InvalidArgumentError(`expected ${FIELDS.join(', ')}, "=" and names, e.g. workloads=billing-*`);
  return { ...before, [known]: [...(before[known] ?? []), ...list] };
}

async function table(render: Render, tokens: readonly TokenView[]): Promise<string> {
  if (tokens.length === 0) return 'no token was made here; those of the token file are not listed';
  const state = ({ state: is }: TokenView): Cell => cell(is, is === 'good' ? 'good' : 'dim');
  const scope = ({ scope: has }: TokenView) =>
    has === undefined ? 'all' : FIELDS.flatMap((field) => (has[field] ? [`${field}=${has[field].join(',')}`] : [])).join(' ');
  return render.table(
    ['id', 'name', 'state', 'roles', 'good for', 'made', 'by', 'ends'],
    tokens.map((one) => [
      cell(one.id, 'strong'),
      one.name,
      state(one),
      one.roles.join(' '),
      scope(one),
      one.createdAt.slice(0, 10),
      one.createdBy,
      one.revokedAt?.slice(0, 16) ?? one.expiresAt?.slice(0, 16) ?? 'never',
    ]),
  );
}
