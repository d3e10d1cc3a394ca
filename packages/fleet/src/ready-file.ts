/** What other programs need to drive a fleet, as one JSON file that appears whole. */
import { resolve } from 'node:path';
import { writeJson } from './files.ts';
import type { Fleet } from './fleet.ts';

export interface ReadyFile {
  readonly registryUrl: string;
  /** Bearer token of the role admin. */
  readonly token: string;
  readonly natsUrl: string;
  /** By instance. */
  readonly leafUrls: Readonly<Record<string, string>>;
  /** HTTP of the node-agents, by instance. */
  readonly nodeUrls: Readonly<Record<string, string>>;
  readonly stateDirectory: string;
  /** Profile file for the `alchemist` command and SDK: addresses, token, NATS user, keys. */
  readonly profile: string;
  /** `fleet` is the program itself. */
  readonly pids: Readonly<Record<string, number>>;
  readonly logs: Readonly<Record<string, string>>;
}

function readyFileOf(fleet: Fleet, ownPid: number): ReadyFile {
  return {
    registryUrl: fleet.registry.url,
    token: fleet.secrets.token('admin'),
    natsUrl: fleet.hub.url,
    leafUrls: Object.fromEntries(fleet.members.map(({ instance, leaf }) => [instance, leaf.url])),
    nodeUrls: Object.fromEntries(fleet.members.map(({ instance, agent }) => [instance, agent.url])),
    stateDirectory: fleet.directory,
    profile: fleet.profileFile,
    pids: { fleet: ownPid, ...fleet.pids() },
    logs: fleet.logs(),
  };
}

/** Written with its owner's rights only: it holds a token. @throws Fault `storage-full`, `configuration-invalid` */
export function writeReadyFile(path: string, fleet: Fleet, ownPid: number): void {
  writeJson(resolve(path), readyFileOf(fleet, ownPid));
}
