/**
 * The link between a leaf and its hub as a wire one can cut: a TCP relay on loopback.
 *
 * Promises:
 * K1. While whole it changes nothing: bytes pass in order, with backpressure.
 * K2. `cut` closes every connection and refuses new ones at once; `freeze` holds everything back and closes nothing, as a link does that
 *     loses packets; `heal` undoes both.
 * K3. The port stays the same over cut and heal.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { Fault } from '@cim/contracts';

export interface Link extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  state(): 'whole' | 'cut' | 'frozen';
  /** Connections through it now. */
  open(): number;
  cut(): void;
  freeze(): void;
  heal(): void;
  stop(): Promise<void>;
}

export interface LinkOptions {
  readonly target: { readonly host: string; readonly port: number };
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port?: number;
}

/** @throws Fault `conflict` when the port is in use */
export async function openLink({ target, host = '127.0.0.1', port = 0 }: LinkOptions): Promise<Link> {
  let state: ReturnType<Link['state']> = 'whole';
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer({ pauseOnConnect: true }, (near) => {
    if (state === 'cut') return void near.resetAndDestroy();
    const far = connect(target);
    const pair = [near, far] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [pair, [far, near] as const]) {
      from.setNoDelay(true);
      from.on('data', (bytes) => {
        if (!to.write(bytes)) from.pause();
      });
      to.on('drain', () => {
        if (state === 'whole') from.resume();
      });
      from.once('error', end).once('close', end);
    }
    far.pause();
    if (state === 'whole') for (const socket of pair) socket.resume();
  });
  await listening(server, host, port);
  const address = server.address() as { port: number };
  return {
    host,
    port: address.port,
    state: () => state,
    open: () => pairs.size,
    cut() {
      state = 'cut';
      for (const [near, far] of pairs) {
        near.resetAndDestroy();
        far.resetAndDestroy();
      }
    },
    freeze() {
      if (state !== 'whole') return;
      state = 'frozen';
      for (const pair of pairs) for (const socket of pair) socket.pause();
    },
    heal() {
      state = 'whole';
      for (const pair of pairs) for (const socket of pair) socket.resume();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };

  async function stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const [near, far] of pairs) {
      near.destroy();
      far.destroy();
    }
    await closed;
  }
}

function listening(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new Fault('conflict', `link: port ${port} on ${host} is in use (${cause.message})`, { cause })),
    );
    server.listen({ host, port }, resolve);
  });
}
