/**
 * Questions as strangers may put them, and the answers they get, both ways a question may come: past the client library (wire.ts), and through
 * it, where a connection has no short way.
 */
import {
  CALL_ID_HEADER,
  CORRELATION_HEADER,
  DEFAULT_CALL_MS,
  Fault,
  SERVED_BY_HEADER,
  subjectOf,
  systemClock,
  TIMEOUT_HEADER,
  TRACEPARENT_HEADER,
} from '@cim/contracts';
import { wireOf } from '@cim/contracts/wire';
import { natsServer, waitFor } from '@cim/testkit';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CallServer, createCallServer } from '../../src/hub/calls.ts';
import type { Leaf } from '../../src/hub/leaf.ts';
import type { CallRequest } from '../../src/sandbox/sandbox.ts';
import { leafOf } from './place.ts';

const SUBJECT = subjectOf('call', { capability: 'echo.say' });

describe.each(['past the library', 'through the library'])('%s', (way) => {
  let server: Awaited<ReturnType<typeof natsServer>>;
  let asker: NatsConnection;
  let leaf: Leaf;
  let calls: CallServer;
  const seen: CallRequest[] = [];
  beforeAll(async () => {
    server = await natsServer({});
    leaf = leafOf(server.url);
    await leaf.start();
    await leaf.ready(5_000);
    calls = createCallServer({
      leaf,
      instance: 'cim-a',
      monotonic: () => systemClock.monotonic(),
      serve(request, done, failed) {
        seen.push(request);
        const by = { kind: 'agent', name: 'echo', version: '1.0.0' };
        if (request.input === '"fail"') failed(new Fault('handler-failed', 'as it was told'));
        else if (request.input === '"bytes"') done(Buffer.from('"in bytes"'), by);
        else done(request.input, by);
      },
    });
    calls.offer(['echo.say']);
    await waitFor(() => calls.reached(['echo.say']), 5_000, 'the offer');
    const wire = wireOf(leaf.current()!)!;
    expect(wire).toBeDefined();
    if (way === 'through the library') for (let sid = 0; sid < 20; sid++) wire.leave(sid);
    asker = await connect({ servers: server.url });
    await asker.request(SUBJECT, '1', { timeout: 5_000 });
  });
  afterAll(async () => {
    await asker?.close();
    await calls?.stop();
    await leaf?.stop();
    await server?.[Symbol.asyncDispose]();
  });

  const ask = async (payload: string | Uint8Array, head: Record<string, string> = {}) => {
    const given = headers();
    for (const [name, value] of Object.entries(head)) given.set(name, value);
    const answer = await asker.request(SUBJECT, payload, {
      timeout: 5_000,
      ...(Object.keys(head).length > 0 ? { headers: given } : {}),
    });
    return { text: answer.string(), headers: answer.headers, request: seen.at(-1)! };
  };

  test('a plain question has an id, the usual time and no header in its answer', async () => {
    const { text, headers: head, request } = await ask('{"a":"größer 😀"}');
    expect(text).toBe('{"a":"größer 😀"}');
    expect(head).toBeUndefined();
    expect(request).toMatchObject({ capability: 'echo.say', budgetMs: DEFAULT_CALL_MS, correlationId: request.callId });
    expect(request.callId).toMatch(/^[0-9a-f-]{36}$/);
    expect(request).not.toHaveProperty('traceparent');
  });

  test('what the headers say travels on, and who gave an id is told who answered', async () => {
    const { headers: head, request } = await ask('2', {
      [CALL_ID_HEADER]: 'my-id',
      [CORRELATION_HEADER]: 'my-work',
      [TIMEOUT_HEADER]: '1500',
      [TRACEPARENT_HEADER]: '00-a-b-01',
    });
    expect(request).toMatchObject({ callId: 'my-id', correlationId: 'my-work', budgetMs: 1_500, traceparent: '00-a-b-01' });
    expect(head?.get(SERVED_BY_HEADER)).toBe('cim-a/agent/echo@1.0.0');
    const { headers: none, request: other } = await ask('2', { [TIMEOUT_HEADER]: '1500' });
    expect(none).toBeUndefined();
    expect(other.budgetMs).toBe(1_500);
  });

  test('an empty question is null, a mark before the text is not part of it, and what is no UTF-8 is replaced', async () => {
    expect((await ask('')).text).toBe('null');
    expect((await ask(Buffer.from([0xef, 0xbb, 0xbf, 0x31]))).text).toBe('1');
    expect((await ask(Buffer.from([0x22, 0xff, 0x22]))).text).toBe('"\ufffd"');
    expect((await ask(Buffer.from([0x22, 0xe2, 0x82, 0x22]))).text).toBe('"\ufffd"');
  });

  test('an answer may be bytes, and large', async () => {
    expect((await ask('"bytes"')).text).toBe('"in bytes"');
    const large = JSON.stringify('ä'.repeat(100_000));
    expect((await ask(large)).text).toBe(large);
    expect((await ask(large, { [CALL_ID_HEADER]: 'x' })).headers?.get(SERVED_BY_HEADER)).toBe('cim-a/agent/echo@1.0.0');
  });

  test('a refusal is a problem document, and counted', async () => {
    const before = calls.counts().get('echo.say')!.errors;
    const refused = await ask('"fail"');
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'handler-failed', detail: 'as it was told' });
    const { text } = await ask('1', { [TIMEOUT_HEADER]: 'soon' });
    expect(JSON.parse(text)).toMatchObject({ code: 'invalid-input' });
    expect(text).toContain(TIMEOUT_HEADER);
    expect(calls.counts().get('echo.say')!.errors).toBe(before + 2);
  });

  test('headers that are none are refused, and the connection lives on', async () => {
    const { raw, said } = await stranger(server.url);
    for (const head of ['NATS/1.0\r\nno such (name): x\r\n\r\n', 'HTTP/1.1\r\n\u0000: \r\n\r\n', 'x']) {
      const before = said().length;
      raw(`HPUB ${SUBJECT} _INBOX.stranger ${head.length} ${head.length + 1}\r\n${head}1\r\n`);
      await waitFor(() => said().length > before, 5_000, 'an answer of any kind');
    }
    expect((await ask('3')).text).toBe('3');
  });

  test('an inbox may be called anything: its owner is answered, and so is who asks next', async () => {
    const { raw, said } = await stranger(server.url, '_INBOX.>');
    for (const inbox of ['_INBOX.jürgen.😀', `_INBOX.${'x'.repeat(3_000)}`]) {
      const before = said().length;
      raw(`PUB ${SUBJECT} ${inbox} 3\r\n"a"\r\n`);
      await waitFor(() => said().length > before, 5_000, `an answer in ${inbox.slice(0, 20)}`);
      expect(said()).toContain(`MSG ${inbox} 1 3\r\n"a"`);
    }
    // An answer that cannot be delivered is nobody's loss.
    raw(`PUB ${SUBJECT} _INBOX.a\rb 3\r\n"a"\r\n`);
    expect((await ask('5')).text).toBe('5');
  });

  test('nobody waits for an answer, or not in an inbox: nothing is said', async () => {
    const count = seen.length;
    asker.publish(SUBJECT, '"no inbox"');
    asker.publish(SUBJECT, '"elsewhere"', { reply: 'other.subject' });
    expect((await ask('4')).text).toBe('4');
    expect(seen.slice(count).map(({ input }) => input)).toEqual(['"no inbox"', '4']);
  });
});

/** Somebody who writes the protocol by hand. */
async function stranger(url: string, listens = '_INBOX.stranger') {
  const { connect: dial } = await import('node:net');
  const { hostname, port } = new URL(url);
  const socket = dial(Number(port), hostname);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString('utf8');
  });
  socket.write(`CONNECT {"verbose":false,"headers":true}\r\nSUB ${listens} 1\r\nPING\r\n`);
  await waitFor(() => text.includes('PONG'), 5_000, 'the greeting');
  text = '';
  return { raw: (line: string) => void socket.write(line), said: () => text };
}
