/** `alchemist debug`: an inspector on a workload of this machine's node-agent. */
import type { Command } from 'commander';
import { exits } from '../exit.ts';
import { type CommonFlags, commonFlags, perform, type Stage, verb } from '../session.ts';

interface Flags extends CommonFlags {
  readonly node: string;
}

/** Longest wait for the node-agent, ms. */
const PATIENCE_MS = 5_000;

export function register(program: Command, stage: Stage): void {
  const command = verb(program, 'debug <workload>', {
    summary: "attach a debugger to a workload on a developer's machine",
    description: `Asks the node-agent of this machine for an inspector on a workload and prints its address, for Chrome, Edge or any editor that
speaks the Chrome DevTools protocol. Only where the node-agent's configuration has sandbox.debug: true, and only over loopback.
A workload that is paused answers no call; callers run into their deadlines.`,
    examples: ['debug my-agent', 'debug my-agent --node http://127.0.0.1:9091'],
  }).option('--node <url>', 'HTTP address of the node-agent', 'http://127.0.0.1:9090');
  commonFlags(command).action((workload: string, flags: Flags) =>
    perform(stage, flags, async ({ render }) => {
      const { Fault } = await import('@cim/contracts');
      const url = new URL(`/api/v1/debug/${encodeURIComponent(workload)}`, flags.node);
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'x-cim-debug': '1' },
        signal: AbortSignal.timeout(PATIENCE_MS),
      }).catch((cause) => {
        throw new Fault('leaf-unreachable', `no node-agent answers at ${flags.node}`, { cause });
      });
      const body = (await response.json().catch(() => ({}))) as { ws?: string; devtools?: string; detail?: string };
      if (response.status === 404 && body.ws === undefined && /no such path/.test(body.detail ?? ''))
        throw new Fault('forbidden', "this node-agent allows no debugging: set sandbox.debug, on a developer's machine only");
      if (!response.ok || body.ws === undefined)
        throw new Fault(
          response.status === 404 ? 'not-found' : 'forbidden',
          body.detail ?? `the node-agent answered ${response.status}`,
        );
      render.answer({ workload, ws: body.ws, devtools: body.devtools }, () =>
        [`open in Chrome or Edge:  ${render.paint(body.devtools ?? '', 'strong')}`, `any other client:        ${body.ws}`].join(
          '\n',
        ),
      );
      return exits.ok;
    }),
  );
}
