/** Events of the fleet: lists, live streams, resuming, slow readers; on a real hub. */
import { connect as connectTcp } from 'node:net';
import { cimEvent } from '@cim/contracts';
import { waitFor } from '@cim/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wire } from './raw.ts';
import { emit, outcome, PASSWORD, problemOf, type RegistryProcess, tokenOf, type World, world } from './support.ts';

let hub: World;
let registry: RegistryProcess;

beforeAll(async () => {
  hub = await world();
  registry = await hub.registry();
});
afterAll(async () => hub?.[Symbol.asyncDispose]());

interface Sse extends AsyncDisposable {
  readonly ids: number[];
  readonly types: string[];
  readonly comments: string[];
  ended: boolean;
}

async function listen(query: string, lastEventId?: number, at = registry): Promise<Sse> {
  const abort = new AbortController();
  const answer = await fetch(`${at.url}/api/v1/events/stream${query}`, {
    headers: {
      authorization: `Bearer ${tokenOf('viewer')}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': `${lastEventId}` }),
    },
    signal: abort.signal,
  });
  expect(answer.status).toBe(200);
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  expect(answer.headers.get('x-request-id')).toBeTruthy();
  const sse: Sse = {
    ids: [],
    types: [],
    comments: [],
    ended: false,
    [Symbol.asyncDispose]: async () => abort.abort(),
  };
  void (async () => {
    let rest = '';
    try {
      for await (const chunk of answer.body!) {
        rest += new TextDecoder().decode(chunk, { stream: true });
        const blocks = rest.split('\n\n');
        rest = blocks.pop()!;
        for (const block of blocks) {
          const id = /^id: (\d+)$/m.exec(block)?.[1];
          const type = /^event: (.+)$/m.exec(block)?.[1];
          if (id !== undefined) {
            sse.ids.push(Number(id));
            sse.types.push(type!);
            JSON.parse(/^data: (.+)$/m.exec(block)![1]!);
          } else if (block.startsWith(':')) sse.comments.push(block.slice(1).trim());
        }
      }
    } catch {
      // Cut by us or by the registry.
    }
    sse.ended = true;
  })();
  return sse;
}

describe('lists', () => {
  const sequences: number[] = [];
  beforeAll(async () => {
    for (let i = 0; i < 30; i++)
      sequences.push(
        await emit(hub.admin, i % 3 === 0 ? 'cim-x' : 'cim-y', i % 2 === 0 ? 'agent.deployed' : 'node.started', `w${i}`),
      );
  });
  const list = async (query: string) => {
    const { body, status } = await registry.ask('GET', `/api/v1/events${query}`, { role: 'viewer' });
    expect(status).toBe(200);
    return body.events.map(({ sequence }: { sequence: number }) => sequence);
  };

  test('the newest, oldest first', async () => {
    expect(await list('?limit=5')).toEqual(sequences.slice(-5));
  });
  test('by instance and pattern, however far back they lie', async () => {
    const ours = sequences.filter((_, i) => i % 3 === 0 && i % 2 === 0);
    expect(await list('?instance=cim-x&pattern=agent.*.deployed&limit=3')).toEqual(ours.slice(-3));
    expect(await list('?instance=cim-x&pattern=agent.*.deployed&limit=1000')).toEqual(ours);
    expect(await list('?pattern=agent.w4.*')).toEqual([sequences[4]]);
    expect(await list('?instance=cim-nobody')).toEqual([]);
  });
  test('since a sequence, page by page', async () => {
    const pages: number[] = [];
    for (let since = sequences[0]! - 1; ; since = pages.at(-1)!) {
      const page = await list(`?since=${since}&limit=7`);
      if (page.length === 0) break;
      pages.push(...page);
    }
    expect(pages).toEqual(sequences);
  });
  test('since a time', async () => {
    expect(await list('?since=2020-01-01T00:00:00Z&limit=1000')).toEqual(sequences);
    expect(await list('?since=2999-01-01T00:00:00Z')).toEqual([]);
  });
  test('wrong filters are named', async () => {
    const wrong = async (query: string) => problemOf(await registry.ask('GET', `/api/v1/events${query}`)).errors?.[0]?.path;
    expect(await wrong('?limit=0')).toBe('query.limit');
    expect(await wrong('?limit=ten')).toBe('query.limit');
    expect(await wrong('?since=yesterday')).toBe('query.since');
    expect(await wrong('?pattern=a b')).toBe('query.pattern');
    expect(await wrong('?instance=NO')).toBe('query.instance');
    expect(outcome(await registry.ask('GET', '/api/v1/events/stream?pattern=..'))).toBe('400 invalid-input');
  });
});

describe('live', () => {
  test('what happens is handed on, filtered, to all who listen', async () => {
    await using all = await listen('?instance=cim-live');
    await using some = await listen('?instance=cim-live&pattern=agent.*.deployed');
    const sent: number[] = [];
    for (let i = 0; i < 20; i++)
      sent.push(await emit(hub.admin, 'cim-live', i % 4 === 0 ? 'agent.deployed' : 'agent.failed', `w${i}`));
    await emit(hub.admin, 'cim-other', 'agent.deployed', 'w');
    await waitFor(() => all.ids.length >= 20, 10_000, 'all events');
    await waitFor(() => some.ids.length >= 5, 10_000, 'some events');
    expect(all.ids).toEqual(sent);
    expect(some.ids).toEqual(sent.filter((_, i) => i % 4 === 0));
    expect(new Set(some.types)).toEqual(new Set(['agent.deployed']));
  });

  test('Last-Event-ID resumes without a gap or a double, while more comes', async () => {
    const sent: number[] = [];
    const send = async (count: number) => {
      for (let i = 0; i < count; i++) sent.push(await emit(hub.admin, 'cim-resume', 'agent.deployed', `r${i}`));
    };
    await send(40);
    const sending = send(100);
    const from = sent[9]!;
    await using one = await listen('?instance=cim-resume', from);
    await waitFor(() => one.ids.length >= 20, 10_000, 'the first of them');
    const middle = one.ids.at(-1)!;
    await one[Symbol.asyncDispose]();
    await using two = await listen('?instance=cim-resume&since=1', middle);
    await sending;
    await waitFor(() => two.ids.at(-1) === sent.at(-1), 10_000, 'the rest of them');
    const upToMiddle = one.ids.filter((id) => id <= middle);
    expect([...upToMiddle, ...two.ids]).toEqual(sent.slice(10));
  });

  test('since a time replays, then goes on', async () => {
    await using one = await listen('?instance=cim-resume&since=2020-01-01T00:00:00Z');
    await waitFor(() => one.ids.length >= 140, 10_000, 'the past');
    const last = await emit(hub.admin, 'cim-resume', 'agent.deployed', 'now');
    await waitFor(() => one.ids.at(-1) === last, 10_000, 'the present');
    expect(one.ids).toHaveLength(141);
  });

  test('an id beyond the end, as of another life of the hub, listens from now on', async () => {
    await using one = await listen('?instance=cim-beyond', 999_999_999);
    const sequence = await emit(hub.admin, 'cim-beyond', 'agent.deployed', 'x');
    await waitFor(() => one.ids.length > 0, 10_000, 'what comes now');
    expect(one.ids).toEqual([sequence]);
  });

  test('what is no event in the stream disturbs nobody', async () => {
    await using one = await listen('?instance=cim-odd');
    await hub.admin.request('cim.v1.fwd.cim-odd.agent.a.deployed', 'no json', { timeout: 5_000 });
    const theirs = cimEvent({ instance: 'cim-good', part: 'x', type: 'agent.deployed', data: {} }, Date.now());
    await hub.admin.request('cim.v1.fwd.cim-odd.agent.a.deployed', JSON.stringify(theirs), { timeout: 5_000 });
    const sequence = await emit(hub.admin, 'cim-odd', 'agent.deployed', 'b');
    await waitFor(() => one.ids.length > 0, 10_000, 'the good one');
    expect(one.ids).toEqual([sequence]);
  });

  /** What nats-server stores and NATS's client library gives up its connection over. */
  const headed = (head: string) => (subject: string) => `HPUB ${subject} ${head.length} ${head.length + 2}\r\n${head}{}\r\n`;
  const nuisances: readonly (readonly [string, (subject: string) => string])[] = [
    ['a return in its subject', (subject) => `PUB ${subject}\rb 2\r\n{}\r\n`],
    ['a space in the name of a header', headed('NATS/1.0\r\nno such (name): x\r\n\r\n')],
    ['a control character in it', headed('NATS/1.0\r\n\u0000\u007f: x\r\n\r\n')],
    ['a bare return in its value', headed('NATS/1.0\r\nA: b\rc\r\n\r\n')],
    ['a bare line feed in its value', headed('NATS/1.0\r\nA: b\nc\r\n\r\n')],
  ];
  test.each(nuisances)(
    'what is stored with %s: listed around, passed over, and the registry keeps its connection',
    async (_, written) => {
      await using one = await listen('?instance=cim-nuisance');
      const before = registry.log.length;
      const stranger = await wire(hub.nats.url);
      stranger.write(
        `CONNECT ${JSON.stringify({ verbose: false, headers: true, user: 'admin', pass: PASSWORD })}\r\n${written('cim.v1.fwd.cim-nuisance.agent.a.deployed')}PING\r\n`,
      );
      expect(await stranger.heard((text) => text.includes('PONG'))).not.toContain('-ERR');
      stranger.socket.destroy();
      const sequence = await emit(hub.admin, 'cim-nuisance', 'agent.deployed', 'good');
      // Who stops reading finds its server again after two pings, half a minute later.
      await waitFor(() => one.ids.at(-1) === sequence, 5_000, 'the event behind it');
      const { body } = await registry.ask('GET', '/api/v1/events?instance=cim-nuisance&limit=1000', { role: 'viewer' });
      expect(body.events.at(-1).sequence).toBe(sequence);
      expect(registry.log.slice(before).filter((line) => line.includes('lost the hub'))).toEqual([]);
    },
  );

  test('a client that does not read is dropped with a reason, and others notice nothing', async () => {
    const { hostname, port } = new URL(registry.url);
    const lazy = connectTcp(Number(port), hostname);
    lazy.on('error', () => {});
    lazy.write(
      `GET /api/v1/events/stream?instance=cim-flood HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${tokenOf('viewer')}\r\n\r\n`,
    );
    await new Promise((resolve) => lazy.once('data', resolve));
    lazy.pause();
    await using good = await listen('?instance=cim-flood');
    const text = 'x'.repeat(100_000);
    let sent = 0;
    const dropped = async () => {
      for (let i = 0; i < 20; i++, sent++) await emit(hub.admin, 'cim-flood', 'agent.deployed', `f${sent}`, { text });
      return registry.log.some((line) => line.includes('"reason":"slow"'));
    };
    await waitFor(dropped, 20_000, 'the lazy client to be dropped');
    await waitFor(() => good.ids.length === sent, 10_000, 'the other to have everything');
    expect(good.ended).toBe(false);
    const { body } = await registry.ask('GET', '/metrics');
    expect(body).toMatch(/cim_registry_sse_dropped_total\{reason="slow"\} 1/);
    lazy.destroy();
  });

  test('at a stop every stream ends with its reason, and the program with 0', async () => {
    const other = await hub.registry();
    await using one = await listen('?instance=cim-stop', undefined, other);
    expect(await other.kill('SIGTERM')).toBe(0);
    await waitFor(() => one.ended, 5_000, 'the stream to end');
    expect(one.comments).toContain('dropped: shutdown');
  });
});
