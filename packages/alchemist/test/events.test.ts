/** The event stream: any split of the bytes, a cut, silence; a small server stands in for the registry to cut where it hurts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { cimEvent, eventPattern, type Fault, systemClock } from '@cim/contracts';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { watchEvents } from '../src/monitor.ts';
import { registryClient } from '../src/registry/client.ts';
import { checkPatterns, eventQueryString, matches } from '../src/registry/event-query.ts';
import { messages } from '../src/registry/event-stream.ts';
import { counters, lineLogger } from '../src/signals.ts';

const event = (type: string, subject: string, n = 0) =>
  cimEvent({ instance: 'cim-a', part: 'test', type, subject, data: { n } }, 0);

describe('server-sent events', () => {
  it('come out the same however the bytes are cut', async () => {
    const item = fc.record({
      id: fc.nat(),
      text: fc.string({ unit: 'grapheme' }),
      heartbeat: fc.boolean(),
      crlf: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { maxLength: 12 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        async (items, cuts) => {
          const wire = items
            .map(({ id, text, heartbeat, crlf }) => {
              const end = crlf ? '\r\n' : '\n';
              const lines = [
                heartbeat ? `: hold${end}` : '',
                `id: ${id}${end}event: x${end}data: ${JSON.stringify(text)}${end}${end}`,
              ];
              return lines.join('');
            })
            .join('');
          const bytes = new TextEncoder().encode(wire);
          async function* chunks() {
            for (let at = 0; at < bytes.length; ) {
              const size = cuts.next().value as number;
              yield bytes.subarray(at, at + size);
              at += size;
            }
          }
          const found: [string, string][] = [];
          for await (const { id, data } of messages(chunks())) if (data !== '') found.push([id, JSON.parse(data)]);
          expect(found).toEqual(items.map(({ id, text }) => [`${id}`, text]));
        },
      ),
      { numRuns: 50 },
    );
  });
});

describe('patterns', () => {
  it('mean what the subjects of the contract mean', () => {
    const token = fc.constantFrom('agent', 'error', 'hello', 'deployed', 'failed');
    const pattern = fc.oneof(
      fc.constant('>'),
      fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('.')),
      fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 2 }).map((tokens) => `${tokens.join('.')}.>`),
    );
    fc.assert(
      fc.property(token, token, token, pattern, (entity, id, name, wanted) => {
        // The contract's own reading: the pattern as a NATS subject, matched token by token.
        const subject = `cim.v1.evt.cim-a.${entity}.${id}.${name}`.split('.');
        const parts = eventPattern('cim-a', wanted).split('.');
        const fits = parts.every((part, i) => part === '>' || part === '*' || part === subject[i]);
        expect(matches(event(`${entity}.${name}`, id), [wanted])).toBe(fits);
      }),
    );
  });

  it('are checked before anything is asked', () => {
    expect(() => checkPatterns(['agent.*.deployed', 'no spaces'])).toThrow(/events\[1\]: expected an event pattern/);
    expect(() => checkPatterns(['agent.*.deployed', 'error.*', '>'])).not.toThrow();
    expect(eventQueryString({ instance: 'a', patterns: ['x.*'], since: '5', limit: 1 })).toBe(
      '?instance=a&pattern=x.*&since=5&limit=1',
    );
    expect(eventQueryString({ patterns: ['x.*', 'y.*'] })).toBe('');
  });
});

type Handler = (request: IncomingMessage, answer: ServerResponse) => void;
const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

async function standIn(handler: Handler): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const around = { clock: systemClock, random: () => 0 };
const client = (url: string) => registryClient({ url, token: 'secret', ...around });

describe('a watch', () => {
  it('resumes after a cut, losing and repeating nothing, and says so once', async () => {
    const asked: (string | undefined)[] = [];
    const log = Array.from(
      { length: 6 },
      (_, i) => `id: ${i + 1}\nevent: agent.deployed\ndata: ${JSON.stringify(event('agent.deployed', 'hello', i + 1))}\n\n`,
    );
    const url = await standIn((request, answer) => {
      const after = request.headers['last-event-id'];
      asked.push(after as string | undefined);
      expect(request.headers.authorization).toBe('Bearer secret');
      answer.writeHead(200, { 'content-type': 'text/event-stream' });
      const from = Number(after ?? 0);
      // Two whole ones and half of a third, then the line goes dead.
      answer.write(log.slice(from, from + 2).join('') + (log[from + 2]?.slice(0, 20) ?? ''));
      if (from + 2 < log.length) setTimeout(() => answer.destroy(), 20);
    });
    const seen: number[] = [];
    const cuts: Fault[] = [];
    const all = Promise.withResolvers<void>();
    const watch = watchEvents(client(url), around, {
      events: ['agent.*.deployed'],
      onEvent: ({ data }) => {
        seen.push((data as { n: number }).n);
        if (seen.length === 6) all.resolve();
        if (seen.length === 2) throw new Error('a handler that throws');
      },
      onError: (fault) => cuts.push(fault),
    });
    await watch.ready;
    await all.promise;
    await watch.stop();
    expect(seen).toEqual([1, 2, 3, 4, 5, 6]);
    expect(asked).toEqual([undefined, '2', '4']);
    expect(cuts.filter(({ code }) => code === 'hub-unreachable')).toHaveLength(2);
    expect(cuts.filter(({ detail }) => detail.includes('a handler that throws'))).toHaveLength(1);
    await expect(watch.done).resolves.toBeUndefined();
  });

  it('ends with a refusal that trying again cannot help', async () => {
    const url = await standIn((_, answer) => answer.writeHead(403).end());
    const watch = watchEvents(client(url), around, { onEvent() {} });
    await expect(watch.ready).rejects.toMatchObject({ code: 'forbidden' });
    await expect(watch.done).rejects.toMatchObject({ code: 'forbidden' });
  });
});

describe('a client', () => {
  it('reads again what failed in passing, and never writes twice', async () => {
    let reads = 0;
    let writes = 0;
    const url = await standIn((request, answer) => {
      if (request.method === 'PUT') writes++;
      else if (++reads === 3) return answer.end(JSON.stringify({ nodes: [] }));
      return answer.writeHead(503).end('<html>bad gateway</html>');
    });
    await expect(client(url).nodes()).resolves.toEqual([]);
    expect(reads).toBe(3);
    await expect(client(url).setChannel('a', 'stable', '1.0.0')).rejects.toMatchObject({ code: 'hub-unreachable' });
    expect(writes).toBe(1);
  });

  it('says who did not answer, and what in an answer is wrong', async () => {
    await expect(client('http://127.0.0.1:9').whoami()).rejects.toThrow(
      /the registry at http:\/\/127\.0\.0\.1:9 does not answer/,
    );
    const url = await standIn((_, answer) => answer.end('{"name":5}'));
    await expect(client(url).whoami()).rejects.toThrow(/answer of \/whoami: name: .*roles/);
  });
});

it('counts and logs as the guide does', () => {
  const count = counters();
  count.increment('cim.agent.deployed');
  count.increment('cim.agent.deployed', 2);
  expect([count.value('cim.agent.deployed'), count.value('other'), count.snapshot()]).toEqual([
    3,
    0,
    { 'cim.agent.deployed': 3 },
  ]);
  const lines: string[] = [];
  lineLogger(
    (line) => lines.push(line),
    () => 0,
  ).error('CIM Error', { error: new Error('why') });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'error',
    message: 'CIM Error',
    error: { name: 'Error', message: 'why' },
  });
});
