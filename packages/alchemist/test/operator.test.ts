/** Publish, deploy, watch: the operator's side against a real registry over a real hub. */
import { join } from 'node:path';
import type { Fault } from '@cim/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  Alchemist,
  alerts,
  bundle,
  CustomService,
  type DeployStep,
  Duration,
  logger,
  metrics,
  WorkflowAgent,
} from '../src/index.ts';
import { type TestFleet, testFleet } from './fleet.ts';
import { bare, cli, folder, hello, write } from './support.ts';

const INSTANCE = 'cim-prod-001';
let fleet: TestFleet;
let alchemist: Alchemist;

beforeAll(async () => {
  fleet = await testFleet(INSTANCE);
  alchemist = await Alchemist.connect({}, bare(fleet.root, fleet.env));
  await fleet.node.beat();
});
afterAll(async () => {
  await alchemist?.close();
  await fleet?.stop();
});

const built = async (files: Record<string, string>) => bundle(await write(await folder(), files));
const faultOf = (work: Promise<unknown>) =>
  work.then(
    () => expect.unreachable('expected a fault'),
    (error) => error as Fault,
  );

describe('publish', () => {
  it('uploads, tells how far it is, and is no error when repeated', async () => {
    const big = await write(await folder(), { ...hello(), 'assets/noise.txt': 'x'.repeat(300_000) });
    const one = await bundle(big, { name: 'big' });
    const sent: number[] = [];
    const first = await alchemist.publish(one, { channel: 'stable', onProgress: (done, total) => sent.push(done / total) });
    expect(first).toMatchObject({ name: 'big', version: '1.0.0', digest: one.digest, size: one.size, created: true });
    expect(sent.length).toBeGreaterThan(4);
    expect(sent.at(-1)).toBe(1);
    expect(await alchemist.publish(one)).toMatchObject({ created: false });
    expect(await alchemist.registry.bytes(one.digest)).toEqual(one.bytes);
    const [item] = (await alchemist.catalog()).filter(({ name }) => name === 'big');
    expect(item).toMatchObject({ channels: { stable: '1.0.0' }, versions: [{ version: '1.0.0', publishedBy: 'boss' }] });
  });

  it('refuses other bytes under the same version, a stranger and a token without the role', async () => {
    await alchemist.publish(await built(hello('', '0.1.0')));
    const other = await built({ ...hello('', '0.1.0'), 'assets/a.txt': 'other' });
    expect(await faultOf(alchemist.publish(other))).toMatchObject({ code: 'conflict' });
    const viewer = await Alchemist.connect({}, bare(fleet.root, { ...fleet.env, CIM_TOKEN: 'viewer' }));
    expect(await faultOf(viewer.publish(await built(hello('', '0.2.0'))))).toMatchObject({ code: 'forbidden' });
    const { newSeed } = await import('../src/index.ts');
    await write(fleet.root, { 'stranger.seed': newSeed('publisher').seed });
    const stranger = await Alchemist.connect({ publisherSeedFile: 'stranger.seed' }, bare(fleet.root, fleet.env));
    expect(await faultOf(stranger.publish(await built(hello('', '0.2.0'))))).toMatchObject({ code: 'signer-unknown' });
  });
});

describe('deploy', () => {
  it('publishes, stores, signs and shows the steps as the node takes them', async () => {
    const code = await built(hello());
    const states = [{ state: 'fetching' }, { state: 'starting' }] as const;
    fleet.node.answer = (_, asked) =>
      asked < 2 ? { ...states[asked]!, converged: false, version: undefined, digest: undefined } : {};
    const steps: DeployStep[] = [];
    const result = await alchemist.deploy({
      bundle: code,
      instance: INSTANCE,
      replicas: 2,
      config: { language: 'de' },
      reason: 'first',
      onStep: (step) => steps.push(step),
    });
    expect(steps.map(({ kind }) => kind)).toEqual(['published', 'stored', 'seen', 'fetching', 'starting', 'ready', 'done']);
    expect(result).toMatchObject({ name: 'hello', version: '1.0.0', generation: 1, changed: true, status: { state: 'ready' } });
    const stored = await alchemist.registry.desired(INSTANCE, 'agent', 'hello');
    expect(stored?.record.document).toMatchObject({
      replicas: 2,
      config: { language: 'de' },
      issuedBy: 'boss',
      reason: 'first',
    });
    expect(stored?.record.signatures).toHaveLength(1);
    await fleet.node.beat();
    const [view] = await alchemist.workloads(INSTANCE);
    expect(view).toMatchObject({ name: 'hello', converged: true, presence: 'online' });
  });

  it('changes nothing when all is so already, and keeps what is not mentioned', async () => {
    fleet.node.answer = () => ({});
    const again = await alchemist.deploy({ name: 'hello', version: '1.0.0', instance: INSTANCE });
    expect(again).toMatchObject({ changed: false, generation: 1, steps: [{ kind: 'unchanged' }, {}, {}, {}] });
    const scaled = await alchemist.deploy({ name: 'hello', version: '^1', instance: INSTANCE, replicas: 1 });
    expect(scaled).toMatchObject({ changed: true, generation: 2 });
    expect((await alchemist.registry.desired(INSTANCE, 'agent', 'hello'))?.record.document).toMatchObject({
      replicas: 1,
      config: { language: 'de' },
    });
  });

  it('fails with the reason of the node, and with what it knew when time ran out', async () => {
    fleet.node.answer = () => ({
      state: 'failed',
      converged: false,
      reason: { code: 'start-failed', detail: 'threw: no config' },
    });
    const failed = await faultOf(alchemist.deploy({ name: 'hello', version: '1.0.0', instance: INSTANCE, replicas: 3 }));
    expect(failed).toMatchObject({ code: 'start-failed', detail: 'hello@1.0.0 on cim-prod-001: threw: no config' });
    fleet.node.answer = () => ({ state: 'starting', converged: false });
    const late = await faultOf(
      alchemist.deploy({ name: 'hello', version: '1.0.0', instance: INSTANCE, replicas: 4, timeout: '300ms' }),
    );
    expect(late).toMatchObject({ code: 'not-confirmed', detail: expect.stringContaining('starting') });
    fleet.node.answer = () => ({});
  });

  it('tells the loser of a race; who asks to try again wins later', async () => {
    const racing = (retryConflicts: number) =>
      Promise.allSettled(
        [5, 6, 7, 8].map((replicas) =>
          alchemist.deploy({ name: 'hello', version: '1.0.0', instance: INSTANCE, replicas, retryConflicts, wait: false }),
        ),
      );
    const told = await racing(0);
    const lost = told.flatMap((one) => (one.status === 'rejected' ? [(one.reason as Fault).code] : []));
    expect(lost.length).toBeGreaterThan(0);
    expect(new Set(lost)).toEqual(new Set(['revision-conflict']));
    const tried = await racing(10);
    expect(tried.map(({ status }) => status)).toEqual(Array(4).fill('fulfilled'));
  });

  it('writes nothing before everything is in order', async () => {
    const before = await alchemist.registry.desiredOf({ instance: INSTANCE });
    const refused = (options: object) =>
      faultOf(alchemist.deploy({ instance: INSTANCE, name: 'hello', ...options } as never)).then(({ code, issues }) => [
        code,
        issues[0]?.path,
      ]);
    expect(await refused({ name: 'nobody' })).toEqual(['not-found', undefined]);
    expect(await refused({ version: '9.9.9' })).toEqual(['not-found', undefined]);
    expect(await refused({ instance: 'No' })).toEqual(['invalid-input', 'instance']);
    expect(await refused({ version: '1.0.0', channel: 'stable' })).toEqual(['invalid-input', 'version']);
    expect(await refused({ version: '1.0.0', kind: 'service' })).toEqual(['invalid-input', 'kind']);
    expect(await refused({ version: '1.0.0', resources: { memory: 'lots' } })).toEqual(['invalid-input', 'resources.memory']);
    expect(await refused({ version: '1.0.0', configuration: { timeout: 'x' } })).toEqual([
      'invalid-input',
      'configuration.timeout',
    ]);
    expect(await refused({ version: '1.0.0', capabilities: ['greeting.say', 'tea.brew'] })).toEqual([
      'requirement-unmet',
      'capabilities',
    ]);
    expect(await alchemist.registry.desiredOf({ instance: INSTANCE })).toEqual(before);
  });

  it('undeploys: a document that says so, and the wait until the node has it', async () => {
    fleet.node.answer = (document, asked) =>
      document.state === 'removed' ? (asked < 2 ? { state: 'draining', converged: false } : undefined) : {};
    const steps: string[] = [];
    const gone = await alchemist.undeploy({ name: 'hello', instance: INSTANCE, onStep: ({ kind }) => steps.push(kind) });
    expect(steps).toEqual(['stored', 'seen', 'draining', 'removed', 'done']);
    expect(gone.changed).toBe(true);
    expect(await alchemist.undeploy({ name: 'hello', instance: INSTANCE })).toMatchObject({ changed: false });
    expect(await faultOf(alchemist.undeploy({ name: 'nobody', instance: INSTANCE }))).toMatchObject({ code: 'not-found' });
    fleet.node.answer = () => ({});
  });
});

describe('the guide', () => {
  it('deploys its agent and its service as it writes them', async () => {
    const cwd = await write(await folder(), {
      ...Object.fromEntries(
        Object.entries(hello()).map(([path, text]) => [
          `services/invoice-processor/${path}`,
          text.replace('@acme/hello', 'invoice-processor').replaceAll('defineAgent', 'defineService'),
        ]),
      ),
    });
    await alchemist.publish(
      await built({
        'package.json': '{"name":"doc-processor","version":"1.0.0","main":"main.ts"}',
        'main.ts': `import { defineAgent } from '@cim/alchemist/agent';
export default defineAgent({ capabilities: { 'document.process': { handle: () => 1 }, 'workflow.execute': { handle: () => 1 } } });`,
      }),
      { channel: 'stable' },
    );

    const agent = new WorkflowAgent({
      id: 'doc-processor',
      capabilities: ['document.process', 'workflow.execute'],

      configuration: {
        maxConcurrent: 10,
        timeout: Duration.minutes(5),
      },
    });

    await alchemist.deployAgent(agent, 'cim-prod-001');

    const service = new CustomService({
      id: 'invoice-processor',
      runtime: 'nodejs',

      code: await bundle(join(cwd, './services/invoice-processor')),

      resources: {
        cpu: '2',
        memory: '4Gi',
      },
    });

    await alchemist.deployService(service, 'cim-prod-001');

    const [doc] = await alchemist.registry.desiredOf({ name: 'doc-processor' });
    expect(doc?.record.document.configuration).toEqual({ maxConcurrent: 10, timeout: '5m' });
    const [invoice] = await alchemist.registry.desiredOf({ name: 'invoice-processor' });
    expect(invoice?.record.document).toMatchObject({ kind: 'service', resources: { cpu: '2', memory: '4Gi' } });
    const wrong = new WorkflowAgent({ id: 'doc-processor', capabilities: ['document.process', 'document.shred'] });
    expect((await faultOf(alchemist.deployAgent(wrong, 'cim-prod-001'))).detail).toBe(
      'doc-processor@1.0.0 does not offer document.shred; it offers document.process, workflow.execute',
    );
    const misnamed = new CustomService({ id: 'other', code: service.options.code! });
    expect((await faultOf(alchemist.deployService(misnamed, 'cim-prod-001'))).issues[0]?.path).toBe('id');
  });

  it('monitors and debugs as it writes them', async () => {
    const seen: string[] = [];
    const monitor = alchemist.createMonitor({
      instance: 'cim-prod-001',

      events: ['domain.*.started', 'agent.*.deployed', 'workflow.*.completed', 'error.*'],

      handlers: {
        onEvent: (event) => {
          metrics.increment(`cim.${event.type}`);
          seen.push(event.type);
        },

        onError: (error) => {
          alerts.send('CIM Error', {
            instance: 'cim-prod-001',
            error,
          });
        },
      },
    });
    expect(logger.info).toBeTypeOf('function');
    await monitor.ready;
    await fleet.node.say('agent.starting', 'hello');
    await fleet.node.say('agent.deployed', 'hello', { version: '1.0.0' });
    await fleet.node.say('node.started', INSTANCE);
    await fleet.node.say('agent.deployed', 'doc-processor');
    await expect.poll(() => seen.length, { timeout: 5_000 }).toBe(2);
    await monitor.stop();
    expect(seen).toEqual(['agent.deployed', 'agent.deployed']);
    expect(metrics.value('cim.agent.deployed')).toBe(2);

    const debug = await alchemist.debugDeployment({
      agent: 'doc-processor',
      instance: 'cim-prod-001',

      checks: ['connectivity', 'resources', 'permissions', 'dependencies'],
    });
    await fleet.node.beat();
    expect(debug.ok).toBe(true);
    expect(debug.report).toContain('pass  dependencies: fine');
  });
});

it('finds events of the past by several patterns, each once, newest kept', async () => {
  const found = await alchemist.events({ patterns: ['agent.*.deployed', 'agent.hello.*'], instance: INSTANCE, limit: 100 });
  const sequences = found.map(({ sequence }) => sequence);
  expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  expect(found.map(({ event }) => event.type)).toEqual(expect.arrayContaining(['agent.starting', 'agent.deployed']));
  const [last] = await alchemist.events({ patterns: ['agent.*.deployed', 'agent.hello.*'], limit: 1 });
  expect(last?.sequence).toBe(sequences.at(-1));
});

describe('the command', () => {
  const run = (argv: string[], options: Parameters<typeof cli>[2] = {}) =>
    cli(fleet.root, argv, { env: fleet.env, ...options });

  it('walks from a project to a running workload and shows it', async () => {
    const project = await write(join(fleet.root, 'work', 'walk'), hello('', '3.0.0'));
    const published = await run(['publish', project, '--channel', 'stable']);
    expect([published.code, published.out]).toEqual([
      0,
      expect.stringMatching(/^published hello@3\.0\.0 \(agent, .*\), stable points at it\n/),
    ]);
    expect(published.err).toMatch(/^upload hello@3\.0\.0 +100% of/m);
    const deployed = await run(['deploy', 'hello', '-i', INSTANCE, '--max-concurrent', '4']);
    expect(deployed.out).toMatch(/^deployed hello@3\.0\.0 on cim-prod-001 in .*, answers greeting\.say\n$/);
    expect(deployed.err).toMatch(/stored .*cim-prod-001\.agent\.hello generation \d+[\s\S]*done/);
    await fleet.node.beat();
    expect((await run(['nodes'])).out).toMatch(/cim-prod-001 +healthy +0 s ago +3\/3 +gpu/);
    expect((await run(['workloads', '-i', INSTANCE])).out).toMatch(/agent +hello +3\.0\.0 +ready +/);
    expect((await run(['status'])).code).toBe(0);
    expect(JSON.parse((await run(['status', '--json'])).out).nodes[0].instance).toBe(INSTANCE);
    expect((await run(['catalog'])).out).toMatch(/hello +agent +3\.0\.0 +stable=3\.0\.0 +/);
    expect((await run(['channel', 'hello', 'stable', '1.0.0'])).out).toBe('set hello@stable is 1.0.0\n');
    expect((await run(['catalog', 'hello'])).out).toMatch(/1\.0\.0 +stable +/);
    expect((await run(['verify', 'hello@3.0.0'])).out).toMatch(/verified\n$/);
    const doctor = await run(['doctor']);
    expect(doctor.out).toMatch(/\d+ passed, 0 warned, 0 failed\n$/);
    expect(doctor.code).toBe(0);
    const removed = await run(['undeploy', 'hello', '-i', INSTANCE, '--json', '--no-wait']);
    expect(JSON.parse(removed.out)).toMatchObject({ name: 'hello', changed: true, steps: [{ kind: 'stored' }] });
    expect(removed.err).toBe('');
  });

  it('exits by why it was refused', async () => {
    const viewer = { env: { ...fleet.env, CIM_TOKEN: 'viewer' } };
    expect((await run(['deploy', 'hello', '-i', INSTANCE], viewer)).code).toBe(3);
    expect((await run(['nodes'], { env: { ...fleet.env, CIM_TOKEN: 'nobody' } })).code).toBe(3);
    expect((await run(['deploy', 'nobody', '-i', INSTANCE])).code).toBe(1);
    fleet.node.answer = () => ({ state: 'starting', converged: false });
    const late = await run(['deploy', 'hello@3.0.0', '-i', INSTANCE, '--timeout', '200ms', '--json']);
    expect([late.code, JSON.parse(late.out).code, late.err]).toEqual([4, 'not-confirmed', '']);
    fleet.node.answer = () => ({});
  });

  it('follows events across patterns until Ctrl-C, which exits 0', async () => {
    const interrupt = new AbortController();
    let lines = 0;
    const following = run(['events', '-f', 'agent.*.failed', 'service.*.failed', '--json'], {
      signal: interrupt.signal,
      onOut: () => {
        if (++lines === 2) interrupt.abort();
      },
    });
    // The watch says nothing when it stands: keep saying until two lines came.
    const saying = setInterval(() => {
      void fleet.node.say('agent.failed', 'hello');
      void fleet.node.say('agent.deployed', 'hello');
    }, 50);
    const ran = await following;
    clearInterval(saying);
    expect(ran.code).toBe(0);
    const events = ran.out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.every(({ event }) => event.type === 'agent.failed')).toBe(true);
  });
});
