/** A debugger at a workload, as a developer has it: a real client of the protocol over the WebSocket. */
import { once } from 'node:events';
import { request } from 'node:http';
import { NodeAgentConfig, silentLogger } from '@cim/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createDebugDoor, type DebugDoor } from '../../src/debug/debug-door.ts';
import type { Isolate, Sandbox } from '../../src/sandbox/sandbox.ts';
import { ask, configOf, doorOf, faultFrom, openOf, sandboxOf, soon } from './fixture.ts';

const http = NodeAgentConfig.shape.http.parse({});
let sandbox: Sandbox;
let door: DebugDoor;
let isolate: Isolate;
beforeEach(async () => {
  const config = configOf({ debug: true });
  sandbox = sandboxOf({ debug: true });
  await sandbox.start();
  isolate = await sandbox.open(
    openOf(
      { source: 'const doubled = input * 2;\n return ctx.kv.get("a").then((more) => doubled + more);' },
      {
        host: doorOf({ 'kv.get': () => 1 }).door,
        isolation: 'shared',
        limits: { turnMs: 300 },
      },
    ),
  );
  door = createDebugDoor({ sandbox, config: { sandbox: config, http }, log: silentLogger });
});
afterEach(async () => {
  await door.stop();
  await sandbox.stop(200);
});

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: any;
  readonly result?: any;
}

async function attach(url: string) {
  const socket = new WebSocket(url);
  const seen: Message[] = [];
  socket.on('message', (data) => void seen.push(JSON.parse(String(data))));
  await once(socket, 'open');
  let id = 0;
  const told = async (test: (message: Message) => boolean): Promise<Message> => {
    expect(await soon(() => seen.some(test), 5_000)).toBe(true);
    return seen.find(test)!;
  };
  return {
    socket,
    told,
    async send(method: string, params: object = {}): Promise<any> {
      id += 1;
      const own = id;
      socket.send(JSON.stringify({ id: own, method, params }));
      return (await told((message) => message.id === own)).result;
    },
  };
}

test('evaluates, sets a breakpoint, is paused there with the source at hand, and lets go', async () => {
  expect(await ask(isolate, 1)).toBe(3);
  const { ws, devtools } = await door.open('probe');
  expect(ws).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/[\w-]{24}$/);
  expect(devtools).toContain(ws.slice(5));
  const client = await attach(ws);
  await client.send('Runtime.enable');
  await client.send('Debugger.enable');
  const script = await client.told(
    ({ method, params }) => method === 'Debugger.scriptParsed' && params.url.endsWith('entry.js'),
  );
  const contextId = script.params.executionContextId;
  expect((await client.send('Runtime.evaluate', { expression: '1+1', contextId })).result.value).toBe(2);
  const { scriptId } = script.params;
  const { scriptSource } = await client.send('Debugger.getScriptSource', { scriptId });
  expect(scriptSource).toContain('const doubled = input * 2;');
  const lineNumber = scriptSource.split('\n').findIndex((line: string) => line.includes('return ctx.kv'));
  await client.send('Debugger.setBreakpoint', { location: { scriptId, lineNumber } });

  const answer = ask(isolate, 20);
  const paused = await client.told(({ method }) => method === 'Debugger.paused');
  const [frame] = paused.params.callFrames;
  expect(frame.location.lineNumber).toBe(lineNumber);
  const evaluated = await client.send('Debugger.evaluateOnCallFrame', {
    callFrameId: frame.callFrameId,
    expression: 'doubled',
  });
  expect(evaluated.result.value).toBe(40);
  // Far longer than the turn allows: nobody is ended for being looked at, and it is not ill.
  const before = sandbox.cells().length;
  await soon(() => false, 1_500);
  expect(sandbox.cells().length).toBe(before);
  await isolate.health();
  await client.send('Debugger.resume');
  expect(await answer).toBe(41);

  // Gone without a word while it is paused: it goes on.
  const again = ask(isolate, 5);
  expect(await soon(() => false, 300)).toBe(false);
  client.socket.terminate();
  expect(await again).toBe(11);
  expect(await ask(isolate, 6)).toBe(13);
  // And another may come.
  const next = await attach((await door.open('agent.probe')).ws);
  await next.send('Debugger.enable');
  next.socket.close();
  await once(next.socket, 'close');
});

/** Status of an attempt to open the socket. */
const upgrade = (url: string, headers: Record<string, string>): Promise<number> =>
  new Promise((resolve, reject) => {
    const { hostname, port, pathname } = new URL(url);
    const common = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
    };
    const asking = request({ hostname, port, path: pathname, headers: { ...common, ...headers } });
    asking.on('response', (answer) => resolve(answer.statusCode!));
    asking.on('upgrade', (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode!);
    });
    asking.on('error', reject);
    asking.end();
  });

test('one at a time; a closed workload closes its debugger', async () => {
  const { ws } = await door.open('probe');
  const first = await attach(ws);
  expect(await upgrade(ws, {})).toBe(409);
  await isolate.close(0);
  await once(first.socket, 'close');
  expect((await faultFrom(door.open('probe'))).code).toBe('not-found');
});

describe('what is no developer is refused', () => {
  test('another path, the page of a browser, another name for this machine', async () => {
    const { ws } = await door.open('probe');
    expect(await upgrade(`${ws}x`, {})).toBe(404);
    expect(await upgrade(ws, { origin: 'https://evil.example' })).toBe(404);
    expect(await upgrade(ws, { host: 'rebound.example:80' })).toBe(404);
    expect(await upgrade(ws, { origin: 'devtools://devtools' })).toBe(101);
  });
  test('a node-agent that was not configured for it, or is not alone with its machine', async () => {
    const closed = createDebugDoor({ sandbox, config: { sandbox: configOf(), http }, log: silentLogger });
    expect((await faultFrom(closed.open('probe'))).code).toBe('forbidden');
    const config = { sandbox: configOf({ debug: true }), http: { ...http, host: '0.0.0.0' } };
    expect(() => createDebugDoor({ sandbox, config, log: silentLogger })).toThrow(/loopback|127\.0\.0\.1/);
    const production = sandboxOf();
    expect(production.inspect).toBeUndefined();
  });
});
