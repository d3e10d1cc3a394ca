/** Calls, logs and node commands against a real nats-server with the permissions of the contract, and responders that speak the wire. */
import {
  CALL_ID_HEADER,
  CALL_QUEUE,
  CORRELATION_HEADER,
  Fault,
  inboxPrefix,
  SERVED_BY_HEADER,
  TIMEOUT_HEADER,
  TRACEPARENT_HEADER,
} from '@cim/contracts';
import { publish, respondFault, serve } from '@cim/contracts/bus';
import { natsServer, type TestNats } from '@cim/testkit';
import { connect, headers, type Msg, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Alchemist } from '../src/alchemist.ts';
import { bare, cli, folder } from './support.ts';

let nats: TestNats;
let node: NatsConnection;
let alchemist: Alchemist;
let root: string;
let env: Record<string, string>;
const received: Msg[] = [];

const checkResults = [{ check: 'resources', result: 'warn' as const, evidence: 'tight', fix: 'make room' }];

beforeAll(async () => {
  root = await folder();
  nats = await natsServer({
    users: [
      { user: 'alchemist', password: 'pw', party: { party: 'alchemist', id: 'alchemist' } },
      { user: 'node-a', password: 'pw', party: { party: 'node', id: 'cim-a' } },
      { user: 'admin', password: 'pw' },
    ],
  });
  node = await connect({ servers: nats.url, user: 'node-a', pass: 'pw', inboxPrefix: inboxPrefix('node', 'cim-a') });
  const answer = (message: Msg) => {
    received.push(message);
    const input = message.json<{ mode?: string }>();
    if (input?.mode === 'fault') return respondFault(message, new Fault('handler-failed', 'it threw'));
    if (input?.mode === 'garbage') return void message.respond('{"half');
    if (input?.mode === 'silent') return undefined;
    const head = headers();
    head.set(SERVED_BY_HEADER, 'cim-a/echo@1.0.0');
    return void message.respond(JSON.stringify({ echo: input }), { headers: head });
  };
  node.subscribe('cim.v1.call.test.echo', { queue: CALL_QUEUE, callback: (_, message) => answer(message) });
  node.subscribe('cim.v1.at.cim-a.call.test.echo', { callback: (_, message) => answer(message) });
  serve(node, 'check', { instance: 'cim-a' }, (question, { instance }) => ({
    instance,
    results: question.workload === 'echo' ? checkResults : [],
  }));
  serve(node, 'probe', { instance: 'cim-a' }, () => ({
    instance: 'cim-a',
    phase: 'running',
    health: 'healthy',
    at: new Date(0).toISOString(),
  }));
  await node.flush();
  env = { CIM_NATS_URL: nats.url, CIM_NATS_USER: 'alchemist', CIM_NATS_PASSWORD: 'pw' };
  alchemist = await Alchemist.connect({}, bare(root, env));
});

afterAll(async () => {
  await alchemist?.close();
  await node?.close();
  await nats?.[Symbol.asyncDispose]();
});

describe('a call', () => {
  it('carries deadline, id, correlation and trace, and brings home the answer and who gave it', async () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    let facts: { servedBy: string | undefined; callId: string } | undefined;
    const answer = await alchemist.call(
      'test.echo',
      { n: 1 },
      {
        timeout: '2s',
        correlationId: 'c-1',
        traceparent: trace,
        onReply: (reply) => {
          facts = reply;
        },
      },
    );
    expect(answer).toEqual({ echo: { n: 1 } });
    const got = received.at(-1)!.headers!;
    expect(got.get(TIMEOUT_HEADER)).toBe('2000');
    expect(got.get(CORRELATION_HEADER)).toBe('c-1');
    expect(got.get(TRACEPARENT_HEADER)).toBe(trace);
    expect(facts).toMatchObject({ servedBy: 'cim-a/echo@1.0.0', callId: got.get(CALL_ID_HEADER) });
  });

  it('goes to one instance when asked to', async () => {
    await alchemist.call('test.echo', null, { instance: 'cim-a' });
    expect(received.at(-1)!.subject).toBe('cim.v1.at.cim-a.call.test.echo');
    await expect(alchemist.call('test.echo', null, { instance: 'cim-b' })).rejects.toThrow(
      'nothing answers test.echo on cim-b',
    );
  });

  it.each([
    ['fault', {}, 'handler-failed', 'it threw'],
    ['garbage', {}, 'output-invalid', 'not JSON'],
    ['silent', { timeout: '150ms' }, 'deadline-exceeded', 'within 150 ms'],
  ])('tells its failures apart: %s', async (mode, options, code, said) => {
    await expect(alchemist.call('test.echo', { mode }, options)).rejects.toMatchObject({
      code,
      detail: expect.stringContaining(said),
    });
  });

  it('to what nobody offers is capability-unknown, and bad input never leaves', async () => {
    await expect(alchemist.call('test.none')).rejects.toMatchObject({ code: 'capability-unknown' });
    await expect(alchemist.call('test.*')).rejects.toMatchObject({ code: 'invalid-input', issues: [{ path: 'capability' }] });
    await expect(alchemist.call('test.echo', 1, { timeout: '2h' })).rejects.toMatchObject({ issues: [{ path: 'timeout' }] });
    await expect(alchemist.call('test.echo', 1, { instance: 'a.b' })).rejects.toMatchObject({ issues: [{ path: 'instance' }] });
  });

  it('outlives a restart of the server', async () => {
    await alchemist.call('test.echo', 1);
    await nats.server.restart();
    await expect
      .poll(() => alchemist.call('test.echo', 2, { timeout: '1s' }).catch((fault) => fault.code), { timeout: 10_000 })
      .toEqual({
        echo: 2,
      });
  });
});

describe('the command', () => {
  it('calls with JSON, a file or standard input and exits by what came back', async () => {
    const { writeFile } = await import('node:fs/promises');
    await writeFile(`${root}/in.json`, '{"from":"file"}');
    const plain = await cli(root, ['call', 'test.echo', '{"a":1}'], { env });
    expect([plain.code, JSON.parse(plain.out), plain.err]).toEqual([0, { echo: { a: 1 } }, '']);
    expect(JSON.parse((await cli(root, ['call', 'test.echo', '@in.json'], { env })).out)).toEqual({ echo: { from: 'file' } });
    expect(JSON.parse((await cli(root, ['call', 'test.echo', '-'], { env, stdin: '[1]' })).out)).toEqual({ echo: [1] });
    const full = await cli(root, ['call', 'test.echo', '--json'], { env });
    expect(JSON.parse(full.out)).toMatchObject({ output: { echo: null }, servedBy: 'cim-a/echo@1.0.0' });
    const failed = await cli(root, ['call', 'test.echo', '{"mode":"fault"}', '--json'], { env });
    expect([failed.code, JSON.parse(failed.out).code]).toEqual([1, 'handler-failed']);
    const late = await cli(root, ['call', 'test.echo', '{"mode":"silent"}', '--timeout', '100ms'], { env });
    expect([late.code, late.err.includes('deadline-exceeded')]).toEqual([4, true]);
    const refused = await cli(root, ['call', 'test.echo', '1'], { env: { ...env, CIM_NATS_PASSWORD: 'no' } });
    expect([refused.code, refused.err.includes('refused the user alchemist')]).toEqual([3, true]);
  });

  it('follows logs until Ctrl-C, which is an ordinary end', async () => {
    const interrupt = new AbortController();
    const line = (workload: string, level: 'info' | 'error', message: string) =>
      publish(
        node,
        'log',
        { instance: 'cim-a', workload, level },
        {
          time: new Date(0).toISOString(),
          instance: 'cim-a',
          kind: 'agent',
          workload,
          version: '1.0.0',
          replica: 0,
          level,
          message,
          fields: { n: 1, text: 'a\u001b[2Jb' },
        },
      );
    // The subscription stands before the first line is said: keep saying until one is heard.
    const saying = setInterval(() => {
      line('other', 'error', 'not asked for');
      line('echo', 'info', 'too quiet');
      line('echo', 'error', 'heard');
    }, 20);
    const ran = await cli(root, ['logs', 'echo', '-f', '--level', 'warn'], {
      env,
      signal: interrupt.signal,
      onOut: () => interrupt.abort(),
    });
    clearInterval(saying);
    expect(ran.code).toBe(0);
    expect(ran.out.split('\n')[0]).toBe('00:00:00.000 error cim-a/echo#0 heard n=1 text=a\ufffd[2Jb');
    expect(ran.out).not.toMatch(/not asked for|too quiet/);
  });
});

it('asks a node to check and reports with what to do', async () => {
  const cim = await Alchemist.connect({ registry: { url: 'http://127.0.0.1:9' } }, bare(root, env));
  const debug = await cim.debugDeployment({ agent: 'echo', instance: 'cim-a', checks: ['resources'] });
  expect(debug.ok).toBe(false);
  expect(debug.results.map(({ check, result }) => `${check} ${result}`)).toEqual(['registry fail', 'resources warn']);
  expect(debug.report).toMatch(
    /^echo on cim-a\nfail {2}registry: .*\n {6}-> .*\nwarn {2}resources: tight\n {6}-> make room\n1 of 2 failed$/,
  );
  await expect(cim.debugDeployment({ instance: 'cim-a', checks: ['luck' as never] })).rejects.toMatchObject({
    code: 'invalid-input',
  });
  await expect((await cim.connection()).status('cim-b' as never, 500)).rejects.toMatchObject({ code: 'instance-unknown' });
  await cim.close();
});

it('doctor finds the server with the permissions it has', async () => {
  const doctor = JSON.parse((await cli(root, ['doctor', '--json'], { env })).out);
  const by = Object.fromEntries(doctor.results.map(({ check, result }: { check: string; result: string }) => [check, result]));
  expect(by).toMatchObject({ profile: 'fail', nats: 'pass' });
});
