/**
 * The node's face as a whole: the pages of server.ts, and the debugger's door where there is one. Opened and closed together.
 */
import type { Clock, Logger, NodeAgentConfig } from '@cim/contracts';
import type { Registry } from 'prom-client';
import { createDebugDoor } from '../debug/debug-door.ts';
import { watchLoopDelay } from '../loop-delay.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { createHttpServer, type HttpView } from './server.ts';

export interface FaceDeps extends Omit<HttpView, 'metrics' | 'debug'> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: Pick<NodeAgentConfig, 'sandbox' | 'http'>;
  readonly registry: Registry;
  readonly sandbox: Sandbox;
}

export interface Face {
  /** @returns its address and what closes it. @throws Fault `configuration-invalid` when the port is taken */
  open(): Promise<{ readonly url: string; readonly close: () => Promise<void> }>;
}

/** @throws Fault `configuration-invalid` when debugging is allowed beyond this machine */
export function createFace({ clock, log, config, registry, sandbox, ...view }: FaceDeps): Face {
  const debug = createDebugDoor({ sandbox, config, log });
  const server = createHttpServer({
    ...view,
    metrics: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    ...(config.sandbox.debug ? { debug: (workload) => debug.open(workload) } : {}),
  });
  return {
    async open() {
      const url = await server.start(config.http.host, config.http.port);
      const still = watchLoopDelay(clock, registry);
      return {
        url,
        async close() {
          still();
          await Promise.all([debug.stop(), server.stop()]);
        },
      };
    },
  };
}
