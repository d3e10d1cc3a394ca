/** The command line: what it takes, what it refuses and how, what it prints and how it exits. Nothing here reaches a network. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '@cim/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { exitOf } from '../src/cli/exit.ts';
import { createRender } from '../src/cli/render.ts';
import { cli, folder, hello, write } from './support.ts';

const GROUPS = 'keys secrets hub instance creds token trust audit'.split(' ');
const VERBS = [
  ...'init bundle publish verify deploy undeploy sign submit call catalog channel'.split(' '),
  ...'status nodes workloads logs events doctor debug completion version'.split(' '),
  ...GROUPS,
];

describe('a wrong line exits 2 and names what is wrong', () => {
  it.each<[string, string[], string, RegExp]>([
    ['unknown verb', ['deplyo'], 'verb', /unknown command 'deplyo' \(Did you mean deploy\?\); see alchemist --help/],
    ['unknown flag', ['nodes', '--jsn'], '--jsn', /unknown option '--jsn' \(Did you mean --json\?\)/],
    ['missing instance', ['deploy', 'hello'], '--instance', /required option '-i, --instance <id>' not specified/],
    ['bad instance', ['deploy', 'hello', '-i', 'CIM A'], '--instance', /'CIM A' is invalid\. expected an instance id/],
    [
      'bad replicas',
      ['deploy', 'hello', '-i', 'a', '--replicas', 'many'],
      '--replicas',
      /expected a whole number from 0 to 64/,
    ],
    [
      'bad isolation',
      ['deploy', 'hello', '-i', 'a', '--isolation', 'none'],
      '--isolation',
      /Allowed choices are shared, dedicated/,
    ],
    ['bad config', ['deploy', 'hello', '-i', 'a', '--config', '[1]'], '--config', /expected a JSON object/],
    [
      'version and channel',
      ['deploy', 'hello', '-i', 'a', '--version', '1.0.0', '--channel', 'x'],
      '--channel',
      /cannot be used with/,
    ],
    ['bad time', ['call', 'a.b', '--timeout', 'soon'], '--timeout', /expected a length of time/],
    ['missing capability', ['call'], 'capability', /missing required argument 'capability'/],
    ['too many arguments', ['nodes', 'x'], 'verb', /too many arguments/],
    ['bad level', ['logs', '--level', 'loud'], '--level', /Allowed choices are debug, info, warn, error/],
    ['unknown verb of keys', ['keys', 'nwe'], 'verb', /unknown command 'nwe' \(Did you mean new\?\)/],
    ['bad role', ['keys', 'new', 'admin'], 'role', /Allowed choices are publisher, operator, log/],
    ['bad shell', ['completion', 'tcsh'], 'shell', /Allowed choices are bash, zsh, fish/],
    ['input that is no JSON', ['call', 'a.b', '{name:1}'], 'input', /expected JSON in input/],
    ['input file that is absent', ['call', 'a.b', '@none.json'], 'input', /cannot read none\.json/],
    ['no registry', ['nodes'], 'registry.url', /use --registry, CIM_REGISTRY_URL, or \.cim\/profile\.json/],
    ['no NATS', ['call', 'a.b', '1'], 'nats.url', /use --nats, CIM_NATS_URL/],
    ['bad capability', ['call', 'A B', '1'], 'capability', /expected a capability.*found "A B"/],
    ['no project', ['bundle', './none'], 'path', /expected a project folder or an entry file/],
  ])('%s', async (_, argv, path, said) => {
    const root = await folder();
    const asText = await cli(root, argv);
    expect(asText.code).toBe(2);
    expect(asText.out).toBe('');
    expect(asText.err).toMatch(said);
    expect(asText.err).toContain('what to do');
    const asJson = await cli(root, [...argv, '--json']);
    expect(asJson.code).toBe(2);
    expect(asJson.err).toBe('');
    expect(JSON.parse(asJson.out)).toMatchObject({ type: expect.stringMatching(/^urn:cim:error:/), errors: [{ path }] });
  });
});

it('ends any line with a known exit code and a sentence, never with a stack', async () => {
  const root = await folder();
  const word = fc.oneof(
    fc.constantFrom(
      'nodes',
      'deploy',
      'undeploy',
      'call',
      'events',
      'verify',
      'channel',
      'catalog',
      'logs',
      'doctor',
      'keys',
      'show',
    ),
    fc.constantFrom(
      '--json',
      '-i',
      '--instance',
      '--timeout',
      '--replicas',
      '--',
      '-',
      '@x',
      'hello@1',
      '--config',
      '{}',
      '--for',
      '1ms',
    ),
    fc.string({ maxLength: 12 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (argv) => {
      const { code, out, err } = await cli(root, argv);
      expect([0, 1, 2]).toContain(code);
      expect(out + err).not.toMatch(/\n {4}at |internal/);
      expect((out + err).trim()).not.toBe('');
    }),
    { numRuns: 200 },
  );
});

describe('help', () => {
  it('is there for every verb, with an example and the exit codes', async () => {
    const root = await folder();
    const all = await cli(root, ['--help']);
    expect(all.code).toBe(0);
    for (const verb of VERBS) {
      expect(all.out).toMatch(new RegExp(`^  ${verb}\\b`, 'm'));
      const own = await cli(root, [verb, '--help']);
      expect(own.code).toBe(0);
      expect(own.out).toMatch(/Usage: alchemist/);
      const below = GROUPS.includes(verb)
        ? [...own.out.matchAll(/^ {2}([a-z-]+) (?:\[|<| )/gm)].map(([, name]) => [verb, name!])
        : [[verb]];
      expect(below.length).toBeGreaterThan(0);
      for (const path of below) {
        const { out } = await cli(root, [...path, '--help']);
        expect([path, out]).toEqual([
          path,
          expect.stringMatching(/Examples?:\n {2}\$ (?:jq|alchemist) [\s\S]*Exit codes: 0 done/),
        ]);
        expect([path, out]).toEqual([path, expect.stringContaining('--json')]);
      }
    }
    expect((await cli(root, [])).code).toBe(2);
    expect((await cli(root, ['keys'])).err).toContain('expected a verb after it; see alchemist keys --help');
  });

  it('comes fast from the built command', () => {
    const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
    if (!existsSync(main)) return;
    const best = (args: string[], said: string) =>
      Math.min(
        ...[0, 1, 2, 3].map(() => {
          const begun = performance.now();
          const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' });
          expect(status).toBe(0);
          expect(stdout).toContain(said);
          return performance.now() - begun;
        }),
      );
    // Beside a Node that does nothing, so that a busy machine is not taken for a slow command.
    const idle = best(['-e', '0'], '');
    const help = best([main, '--help'], 'Usage: alchemist');
    expect(help - idle).toBeLessThan(Math.max(260, 4 * idle));
  });
});

it('scaffolds a project that tests, type-checks, bundles and verifies at once', async () => {
  const root = await folder();
  const env = { XDG_CONFIG_HOME: join(root, 'config') };
  const made = await cli(root, ['init', 'Word Counter', '--json']);
  expect(made.code).toBe(0);
  expect(JSON.parse(made.out)).toMatchObject({ name: 'word-counter', kind: 'agent' });
  const project = join(root, 'Word Counter');
  const tested = spawnSync(process.execPath, ['--test'], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  expect(`${tested.stdout}${tested.stderr}`).toMatch(/pass 2/);
  const tsc = fileURLToPath(new URL('../../../node_modules/typescript/bin/tsc', import.meta.url));
  const typed = spawnSync(process.execPath, [tsc, '-p', project], { encoding: 'utf8' });
  expect(typed.stdout).toBe('');

  const again = await cli(root, ['init', 'Word Counter']);
  expect(again.code).toBe(1);
  expect(again.err).toContain('nothing was written');

  const key = await cli(root, ['keys', 'new', 'publisher', '--json'], { env });
  const { publicKey, file } = JSON.parse(key.out);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const seed = (await readFile(file, 'utf8')).trim();
  const shown = await cli(root, ['keys', 'show'], { env });
  expect(shown.out).toContain(publicKey);
  expect(key.out + shown.out).not.toContain(seed);
  expect((await cli(root, ['keys', 'show', '--seed'], { env })).out).toContain(seed);
  expect((await cli(root, ['keys', 'new', 'publisher'], { env })).code).toBe(1);
  expect((await cli(root, ['keys', 'import', 'operator'], { env, stdin: seed })).err).toContain(
    'found the seed of a publisher',
  );

  const built = await cli(project, ['bundle', '-o', 'wc.cim', '--json'], { env });
  expect(JSON.parse(built.out)).toMatchObject({
    name: 'word-counter',
    version: '1.0.0',
    signed: true,
    capabilities: ['word-counter.hello'],
  });
  expect((await readdir(project)).filter((name) => name.startsWith('wc.cim')).sort()).toEqual([
    'wc.cim',
    'wc.cim.provenance',
    'wc.cim.sig',
  ]);
  expect((await cli(project, ['verify', 'wc.cim'], { env })).out).toMatch(/verified\n$/);
  const stranger = await cli(project, ['verify', './wc.cim', '--trust', `A${'A'.repeat(55)}`], { env });
  expect([stranger.code, stranger.out.includes('do not run this')]).toEqual([3, true]);
});

it('signs nothing where no key is set, and says so', async () => {
  const root = await write(await folder(), hello());
  const built = await cli(root, ['bundle']);
  expect([built.code, built.err]).toEqual([0, 'warning not signed: no publisher key is set (alchemist keys new publisher)\n']);
  expect(built.out).toContain('hello@1.0.0  agent');
  expect((await cli(root, ['publish', '--registry', 'http://127.0.0.1:9'])).err).toContain('alchemist keys new publisher');
});

it('exits by the kind of fault', () => {
  expect(
    (
      [
        'conflict',
        'invalid-input',
        'forbidden',
        'not-confirmed',
        'deadline-exceeded',
        'hub-unreachable',
        'handler-failed',
      ] as const
    ).map(exitOf),
  ).toEqual([1, 2, 3, 4, 4, 5, 1]);
});

it('exits 5 where nobody answers', async () => {
  const root = await folder();
  const ran = await cli(root, ['nodes', '--registry', 'http://127.0.0.1:9', '--json']);
  expect([ran.code, JSON.parse(ran.out).code]).toEqual([5, 'hub-unreachable']);
  expect((await cli(root, ['call', 'a.b', '1', '--nats', 'nats://127.0.0.1:9'])).code).toBe(5);
  const doctor = await cli(root, ['doctor', '--registry', 'http://127.0.0.1:9', '--json']);
  expect(doctor.code).toBe(1);
  expect(JSON.parse(doctor.out)).toMatchObject({
    ok: false,
    results: expect.arrayContaining([expect.objectContaining({ check: 'registry', result: 'fail' })]),
  });
});

describe('print', () => {
  const render = (over: object) => {
    const said = { out: '', err: '' };
    const io = {
      out: (text: string) => {
        said.out += text;
      },
      err: (text: string) => {
        said.err += text;
      },
      outIsTty: true,
      errIsTty: true,
      env: {},
      ...over,
    } as never;
    return { said, render: createRender(io, false) };
  };

  it('colours where a person watches and not where NO_COLOR is set', () => {
    expect(render({}).render.paint('ok', 'good')).toBe('\u001b[32mok\u001b[39m');
    expect(render({ env: { NO_COLOR: '1' } }).render.paint('ok', 'good')).toBe('ok');
    expect(render({ outIsTty: false }).render.paint('ok', 'good')).toBe('ok');
  });

  it('draws a bar for a person and a line a quarter for a log', () => {
    const tty = render({ env: { NO_COLOR: '1' } });
    const bar = tty.render.progress('upload');
    bar.update(512, 1024);
    tty.render.note('meanwhile');
    bar.end();
    expect(tty.said.err).toBe(`\rupload ${'█'.repeat(12)}${'░'.repeat(12)}  50% of 1.0 KiB\u001b[K\nmeanwhile\n`);
    const plain = render({ errIsTty: false });
    const lines = plain.render.progress('upload');
    for (let n = 0; n <= 100; n += 5) lines.update(n, 100);
    expect(plain.said.err.split('\n')).toHaveLength(6);
  });

  it('lists every wrong field of a fault', () => {
    const { said, render: shown } = render({ env: { NO_COLOR: '1' } });
    shown.fault(
      new Fault('invalid-input', 'two things\u001b[2J', {
        issues: [
          { path: 'a', message: 'x' },
          { path: 'b', message: 'y' },
        ],
      }),
    );
    expect(said.err).toMatchInlineSnapshot(`
      "error invalid-input: The input is not what was expected
        two things�[2J
        - a: x
        - b: y
      what to do Mend the fields named under "errors" and send it again.
      "
    `);
  });

  it('lines columns up', async () => {
    const { render: shown } = render({ outIsTty: false });
    expect(
      await shown.table(
        ['name', 'what'],
        [
          ['a', 'two words'],
          ['日本', { text: 'wide', paint: 'good' }],
        ],
      ),
    ).toMatchInlineSnapshot(`
      "NAME  WHAT
      a     two words
      日本  wide"
    `);
  });
});

it('completes what there is', async () => {
  const root = await folder();
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { out } = await cli(root, ['completion', shell]);
    for (const verb of VERBS) expect(out).toContain(verb);
    expect(out).toContain('isolation');
  }
  const { out } = await cli(root, ['completion', 'bash']);
  const complete = (...words: string[]) => {
    const script = `${out}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _alchemist; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return spawnSync('bash', ['-c', script], { cwd: root, encoding: 'utf8', timeout: 5_000 }).stdout.trim().split('\n');
  };
  expect(complete('alchemist', 'dep')).toEqual(['deploy']);
  expect(complete('alchemist', 'deploy', 'hello', '--isolation', '')).toEqual(['shared', 'dedicated']);
  expect(complete('alchemist', 'keys', 'n')).toEqual(['new']);
  expect(complete('alchemist', 'no', 'such', '--x')).toEqual(['']);
});
