/** Requests as no library would send them: bytes on a socket, from any address of this machine, over TLS if wanted. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: any;
}

/** A request from a loopback address of its own (Linux answers to all of 127.0.0.0/8), on a connection of its own. */
export function askFrom(
  address: string,
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: Record<string, string>;
    readonly body?: string | Uint8Array;
    readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
  } = {},
): Promise<RawAnswer> {
  const { method = 'GET', headers = {}, body, tls } = options;
  return new Promise((resolve, reject) => {
    const about = { method, headers, localAddress: address, agent: false, timeout: 20_000, ...tls };
    const sent = (tls ? httpsRequest : httpRequest)(url, about, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers as never, body: parsed(text) }));
      answer.on('error', reject);
      if (String(answer.headers['content-type']).startsWith('text/event-stream')) {
        answer.destroy();
        resolve({ status: answer.statusCode!, headers: answer.headers as never, body: '' });
      }
    });
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.end(body);
  });
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

export interface Wire {
  readonly socket: Socket;
  write(text: string | Uint8Array): void;
  /** Everything that was heard, once the other side has closed. @throws after the deadline */
  closed(deadlineMs?: number): Promise<string>;
  /** What was heard, once the condition holds of it. @throws after the deadline */
  heard(until: (text: string) => boolean, deadlineMs?: number): Promise<string>;
}

/** A socket to a server, and what it says. */
export async function wire(url: string, tls?: ConnectionOptions): Promise<Wire> {
  const { hostname, port } = new URL(url);
  const socket: Socket = tls ? connectTls({ host: hostname, port: Number(port), ...tls }) : connect(Number(port), hostname);
  let text = '';
  let over = false;
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of [...listeners]) listener();
  };
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1');
    tell();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    over = true;
    tell();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once(tls ? 'secureConnect' : 'connect', resolve);
    socket.once('error', reject);
  });
  const wait = (done: () => boolean, what: string, ms: number) =>
    new Promise<string>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${what} within ${ms} ms; heard: ${text.slice(0, 300)}`)), ms);
      const look = () => {
        if (!done()) return;
        clearTimeout(timer);
        listeners.delete(look);
        resolve(text);
      };
      listeners.add(look);
      look();
    });
  return {
    socket,
    write: (bytes) => void socket.write(bytes),
    closed: (ms = 20_000) => wait(() => over, 'not closed', ms),
    heard: (until, ms = 20_000) => wait(() => until(text), 'not heard', ms),
  };
}

/** Status codes of all answers in what was heard. */
export const statuses = (text: string): number[] => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));

/** The JSON body of the last answer that was heard. */
export const lastBody = (text: string): any => JSON.parse(text.slice(text.lastIndexOf('\r\n\r\n') + 4));
