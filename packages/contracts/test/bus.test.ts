/** Typed speech over a real nats-server. */
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listen, publish, request, respondFault, send, serve } from '../src/bus.ts';
import {
  type CimEvent,
  cimEvent,
  ERROR_CODE_HEADER,
  ERROR_HEADER,
  eventPattern,
  Fault,
  patternOf,
  renderNatsConfig,
  subjectOf,
  systemClock,
  waitUntil,
} from '../src/index.ts';
import { natsServer, startNats } from './nats-server.ts';

const noResponder = new Fault('instance-unknown', 'cim-a does not answer');
const options = { timeoutMs: 5_000, noResponder };
const at = { instance: 'cim-a' };
const probe = { instance: 'cim-a', phase: 'running', health: 'healthy', at: '2026-01-31T12:00:00Z' };

async function faultOf(work: Promise<unknown>): Promise<Fault> {
  const error = await work.then(
    () => new Error('went through'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Fault);
  return error as Fault;
}

describe.skipIf(natsServer === undefined)('bus', () => {
  let server: Awaited<ReturnType<typeof startNats>>;
  let here: NatsConnection;
  let there: NatsConnection;
  beforeAll(async () => {
    server = await startNats((directory) =>
      renderNatsConfig({
        name: 'n',
        host: '127.0.0.1',
        port: -1,
        domain: 'hub',
        storeDirectory: directory,
        users: [],
        maxPayloadBytes: 65_536,
      }),
    );
    here = await connect({ servers: server.url });
    there = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await here?.close();
    await there?.close();
    await server?.stop();
  });
  /** A server of a row, known to the nats-server before anyone asks, and gone after `work`. */
  async function serving<T>(subscription: { unsubscribe(): void }, work: () => Promise<T>): Promise<T> {
    await there.flush();
    try {
      return await work();
    } finally {
      subscription.unsubscribe();
      await there.flush();
    }
  }

  it('who wants the answer anywhere but in an inbox gets none, and is not heard (U3)', async () => {
    let asked = 0;
    const answer = () => {
      asked++;
      return { instance: 'cim-a', phase: 'running', health: 'healthy', at: new Date(0).toISOString() };
    };
    const elsewhere: string[] = [];
    here.subscribe('elsewhere.>', { callback: (_, { subject }) => void elsewhere.push(subject) });
    // The server's own `_R_.` no client can name; that it is answered is seen wherever a request crosses accounts.
    const inboxes = ['_INBOX.a.b', '_INBOX_HUB.node.x.y'];
    const heard = new Set<string>();
    for (const inbox of inboxes) here.subscribe(inbox, { callback: (_, { subject }) => void heard.add(subject) });
    await here.flush();
    await serving(serve(there, 'probe', at, answer), async () => {
      const subject = subjectOf('probe', at);
      here.publish(subject, '', { reply: 'elsewhere.key' });
      here.publish(subject, '', { reply: 'elsewhere._INBOX.x' });
      for (const reply of inboxes) here.publish(subject, '', { reply });
      await here.request(subject, '', { timeout: 5_000 });
    });
    await here.flush();
    expect(elsewhere).toEqual([]);
    expect([...heard].sort()).toEqual([...inboxes].sort());
    expect(asked).toBe(inboxes.length + 1);
  });

  it('a request finds its server, with the payload and the parameters of the subject', async () => {
    const seen: unknown[] = [];
    const server = serve(there, 'check', at, (payload, params) => {
      seen.push(payload, params);
      return {
        instance: params.instance,
        results: [{ check: 'connectivity', result: 'pass' as const, evidence: 'leaf answers' }],
      };
    });
    const reply = await serving(server, () => request(here, 'check', at, { checks: ['connectivity'] }, options));
    expect(reply).toEqual({
      instance: 'cim-a',
      results: [{ check: 'connectivity', result: 'pass', evidence: 'leaf answers' }],
    });
    expect(seen).toEqual([{ checks: ['connectivity'] }, at]);
  });

  it('a call carries any JSON, and an answer of nothing is null', async () => {
    const echo = serve(there, 'call', { capability: 'echo' }, (payload) => (payload === 'nothing' ? undefined : payload));
    await serving(echo, async () => {
      for (const value of [null, 0, '', [], { a: [1, { b: 'ä\u0000😀' }] }])
        expect(await request(here, 'call', { capability: 'echo' }, value, options)).toEqual(value);
      expect(await request(here, 'call', { capability: 'echo' }, 'nothing', options)).toBeNull();
      expect(await request(here, 'call', { capability: 'echo' }, undefined, options)).toBeNull();
    });
  });

  it('a fault arrives as it was thrown, with the headers of the services protocol', async () => {
    const thrown = new Fault('policy-refused', 'not here', {
      cause: new Error('inner'),
      issues: [{ path: 'a', message: 'b' }],
    });
    const server = serve(there, 'probe', at, () => {
      throw thrown;
    });
    await serving(server, async () => {
      const fault = await faultOf(request(here, 'probe', at, null, options));
      expect([fault.code, fault.detail, fault.issues, fault.cause]).toEqual([
        'policy-refused',
        'not here',
        thrown.issues,
        undefined,
      ]);
      const raw = await here.request(subjectOf('probe', at), 'null', { timeout: 5_000 });
      expect(raw.headers!.get(ERROR_CODE_HEADER)).toBe('403');
      expect(raw.headers!.get(ERROR_HEADER)).toBe(`policy-refused: ${thrown.row.title}`);
      expect(raw.string()).not.toContain('inner');
    });
  });

  it('what is thrown that is no fault arrives as internal and gives nothing away', async () => {
    const server = serve(there, 'probe', at, () => Promise.reject(new Error('password is hunter2')));
    const fault = await serving(server, () => faultOf(request(here, 'probe', at, null, options)));
    expect([fault.code, fault.detail]).toEqual(['internal', 'probe failed']);
  });

  it('nobody there is the fault the asker named, and at once', async () => {
    const before = systemClock.monotonic();
    expect(await faultOf(request(here, 'probe', { instance: 'cim-nowhere' }, null, { timeoutMs: 20_000, noResponder }))).toBe(
      noResponder,
    );
    expect(systemClock.monotonic() - before).toBeLessThan(10_000);
  });

  it('nobody answering is deadline-exceeded after as long as was allowed (U2)', async () => {
    const mute = there.subscribe(subjectOf('probe', at), { callback: () => {} });
    await serving(mute, async () => {
      const before = systemClock.monotonic();
      const fault = await faultOf(request(here, 'probe', at, null, { timeoutMs: 150, noResponder }));
      expect(fault.code).toBe('deadline-exceeded');
      expect(fault.detail).toMatch(/cim\.v1\.cmd\.cim-a\.probe within 150 ms/);
      expect(systemClock.monotonic() - before).toBeGreaterThanOrEqual(140);
      for (const timeoutMs of [0, -5, 0.4, Number.NaN])
        expect((await faultOf(request(here, 'probe', at, null, { timeoutMs, noResponder }))).code).toBe('deadline-exceeded');
    });
  });

  it('garbage is answered with invalid-input, and the server lives on (U1)', async () => {
    let handled = 0;
    const server = serve(there, 'drain', at, (payload) => {
      handled++;
      return { instance: 'cim-a', phase: payload.drain ? 'draining' : 'running' };
    });
    await serving(server, async () => {
      for (const bytes of ['', '{', '[]', '{"drain":"yes"}', '{"drain":true,"force":1}', new Uint8Array([0xff, 0x00, 0x80])]) {
        const reply = await here.request(subjectOf('drain', at), bytes, { timeout: 5_000 });
        expect(reply.headers?.get(ERROR_CODE_HEADER)).toBe('400');
        const fault = Fault.fromProblem(reply.json());
        expect(fault.code).toBe('invalid-input');
        expect(fault.issues.length).toBeGreaterThan(0);
      }
      expect(handled).toBe(0);
      expect(await request(here, 'drain', at, { drain: true }, options)).toEqual({ instance: 'cim-a', phase: 'draining' });
      expect(handled).toBe(1);
    });
  });

  it('a reply that does not fit its row is never handed on', async () => {
    const wrong = there.subscribe(subjectOf('probe', at), { callback: (_, message) => void message.respond('{"phase":1}') });
    const fault = await serving(wrong, () => faultOf(request(here, 'probe', at, null, options)));
    expect(fault.code).toBe('invalid-input');
    expect(fault.detail).toMatch(/^reply of cim\.v1\.cmd\.cim-a\.probe: /);
    const garbled = there.subscribe(subjectOf('probe', at), {
      callback: (_, message) => {
        const marked = headers();
        marked.set(ERROR_CODE_HEADER, '500');
        message.respond('<html>', { headers: marked });
      },
    });
    expect((await serving(garbled, () => faultOf(request(here, 'probe', at, null, options)))).code).toBe('internal');
  });

  it('a payload or an answer above the server’s limit is a fault and no crash', async () => {
    const big = 'x'.repeat(100_000);
    const server = serve(there, 'call', { capability: 'big' }, () => big);
    await serving(server, async () => {
      expect((await faultOf(request(here, 'call', { capability: 'big' }, big, options))).code).toBe('too-large');
      expect((await faultOf(request(here, 'call', { capability: 'big' }, null, options))).code).toBe('internal');
    });
    const flood = serve(there, 'call', { capability: 'flood' }, () => {
      throw new Fault('handler-failed', big);
    });
    // The problem itself is too large: it arrives cut short, code and all.
    const fault = await serving(flood, () => faultOf(request(here, 'call', { capability: 'flood' }, null, options)));
    expect([fault.code, fault.detail]).toEqual(['handler-failed', `${'x'.repeat(499)}…`]);
  });

  it('a handler that ends after its connection troubles nobody', async () => {
    const unhandled: unknown[] = [];
    const note = (error: unknown) => void unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      const brief = await connect({ servers: server.url });
      let release: () => void = () => {};
      let asked = false;
      serve(brief, 'probe', { instance: 'cim-brief' }, async () => {
        asked = true;
        await new Promise<void>((resolve) => {
          release = resolve;
        });
        return probe;
      });
      await brief.flush();
      const asking = faultOf(request(here, 'probe', { instance: 'cim-brief' }, null, { timeoutMs: 400, noResponder }));
      expect(await waitUntil(systemClock, 5_000, () => asked, 5)).toBe(true);
      await brief.close();
      release();
      expect((await asking).code).toBe('deadline-exceeded');
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('a closed connection is leaf-unreachable, and keeps its cause', async () => {
    const closed = await connect({ servers: server.url });
    await closed.close();
    const fault = await faultOf(send(closed, 'cim.v1.cmd.a.probe', '', 1_000, noResponder));
    expect(fault.code).toBe('leaf-unreachable');
    expect(fault.cause).toBeInstanceOf(Error);
  });

  it('respondFault answers the asker of any message', async () => {
    const refusing = there.subscribe(subjectOf('probe', at), {
      callback: (_, message) => respondFault(message, new Fault('overloaded', 'later')),
    });
    expect((await serving(refusing, () => faultOf(request(here, 'probe', at, null, options)))).code).toBe('overloaded');
  });

  it('a listener hears what decodes, and is told of what does not (U1)', async () => {
    const heard: CimEvent[] = [];
    const where: unknown[] = [];
    const refused: [string, string][] = [];
    const subscription = listen(
      there,
      'event',
      eventPattern('cim-a', '>'),
      (event, params) => {
        heard.push(event);
        where.push(params);
      },
      (subject, fault) => refused.push([subject, fault.code]),
    );
    const params = { instance: 'cim-a', entity: 'agent', id: 'hello', event: 'deployed' };
    const subject = subjectOf('event', params);
    const event = cimEvent(
      { instance: 'cim-a', part: 'node-agent', type: 'agent.deployed', data: { n: 1 } },
      systemClock.now(),
    );
    await serving(subscription, async () => {
      here.publish(subject, 'garbage');
      here.publish(subject, '');
      here.publish(subject, JSON.stringify({ ...event, specversion: '0.3' }));
      here.publish(`${subject}.and.more`, JSON.stringify(event));
      publish(here, 'event', params, event);
      publish(here, 'event', { ...params, instance: 'cim-b' }, event);
      expect(await waitUntil(systemClock, 5_000, () => heard.length > 0 && refused.length >= 4, 5)).toBe(true);
    });
    expect(heard).toEqual([event]);
    expect(where).toEqual([params]);
    expect(refused).toEqual([
      [subject, 'invalid-input'],
      [subject, 'invalid-input'],
      [subject, 'invalid-input'],
      [`${subject}.and.more`, 'invalid-input'],
    ]);
  });

  it('publish carries headers, and refuses a subject that would break out', async () => {
    const params = { instance: 'cim-a', workload: 'hello', level: 'info' };
    const line = {
      time: '2026-01-31T12:00:00Z',
      instance: 'cim-a',
      kind: 'agent',
      workload: 'hello',
      version: '1.0.0',
      replica: 0,
      level: 'info' as const,
      message: 'hi',
      fields: {},
    };
    const seen: string[] = [];
    const subscription = there.subscribe(patternOf('log'), {
      callback: (_, message) => void seen.push(message.headers?.get('Nats-Msg-Id') ?? '-'),
    });
    await serving(subscription, async () => {
      const marked = headers();
      marked.set('Nats-Msg-Id', 'id-1');
      publish(here, 'log', params, line, marked);
      publish(here, 'log', params, line);
      expect(await waitUntil(systemClock, 5_000, () => seen.length === 2, 5)).toBe(true);
    });
    expect(seen).toEqual(['id-1', '-']);
    expect(() => publish(here, 'log', { ...params, workload: '>' }, line)).toThrow(TypeError);
  });
});
