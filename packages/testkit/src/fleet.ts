/** A fleet of real processes in one call, in a directory of its own that is gone afterwards. */
import { type Fleet, type FleetOptions, startFleet } from '@cim/fleet';
import { temporaryDirectory } from './temporary.ts';

export interface TestFleet extends AsyncDisposable {
  /** The one that runs now. */
  readonly fleet: Fleet;
  readonly directory: string;
  /** Stops the whole fleet and starts it again in the same directory. @returns the new one, which is `fleet` from then on */
  again(): Promise<Fleet>;
}

/**
 * Links between leaves and hub can be cut, and nodes speak often, so that tests need not wait.
 * @param options over these
 */
export async function fleet(options: Partial<FleetOptions> = {}): Promise<TestFleet> {
  await using parts = new AsyncDisposableStack();
  const { path } = parts.use(temporaryDirectory('cim-fleet'));
  const { agentConfig, ...rest } = options;
  const begin = () =>
    startFleet({
      directory: path,
      links: 'proxied',
      agentConfig: (instance) => ({
        timing: { heartbeat: '1s', resync: '5s', drain: '5s', probe: '1s' },
        ...agentConfig?.(instance),
      }),
      ...rest,
    });
  let running = await begin();
  const all = parts.move();
  return {
    get fleet() {
      return running;
    },
    directory: path,
    async again() {
      await running.stop();
      running = await begin();
      return running;
    },
    async [Symbol.asyncDispose]() {
      try {
        await running.stop();
      } finally {
        await all.disposeAsync();
      }
    },
  };
}
