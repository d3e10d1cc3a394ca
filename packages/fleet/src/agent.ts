/** The node-agent of an instance: its configuration and its process. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { decode, NodeAgentConfig } from '@cim/contracts';
import { type Daemon, startDaemon } from './daemon.ts';
import { writeJson } from './files.ts';
import { agentUser, instanceDirectory } from './leaf.ts';
import { ledgerDirectory } from './machine/lock.ts';
import { type Overlay, overlaid, portFor } from './registry.ts';
import { rootsOf, type Secrets } from './secrets.ts';

export interface AgentOptions {
  /** State directory of the fleet. */
  readonly directory: string;
  readonly secrets: Secrets;
  readonly instance: string;
  readonly leafUrl: string;
  /** Who renews its credential, and where that lies. */
  readonly identity?: { readonly registry: string; readonly credentialsFile: string };
  readonly wishedPort?: number | undefined;
  readonly overlay?: Overlay | undefined;
}

export function startAgent({
  directory,
  secrets,
  instance,
  leafUrl,
  identity,
  wishedPort,
  overlay,
}: AgentOptions): Promise<Daemon> {
  const own = join(instanceDirectory(directory, instance), 'agent');
  const configFile = join(own, 'config.json');
  const user = agentUser(instance);
  return startDaemon({
    name: `node-agent ${instance}`,
    package: '@cim/node-agent',
    directory: own,
    logFile: join(own, 'agent.log'),
    ledgerFile: join(ledgerDirectory(directory), `agent-${instance}.json`),
    configure: async (again) => {
      const secretsDirectory = join(own, 'secrets');
      const config = {
        instance: { id: instance, location: 'embedded fleet' },
        nats: { url: leafUrl, user, passwordFile: secrets.passwordFile(user), hubDomain: 'hub' },
        http: { host: '127.0.0.1', port: await portFor(configFile, again ? undefined : wishedPort, again) },
        stateDirectory: join(own, 'state'),
        secretsDirectory,
        ...(identity === undefined ? {} : { identity }),
        // Several instances share one machine here, and during a version change two versions share an instance: what workloads ask
        // for at most is not counted against what one machine has. Each is still held to what it asks for.
        sandbox: { cpu: '64', memory: '256Gi' },
        trust: rootsOf(secrets),
      };
      const whole = overlaid(config, overlay);
      decode(NodeAgentConfig, whole, `configuration of ${instance}`, 'configuration-invalid');
      writeJson(configFile, whole);
      mkdirSync(secretsDirectory, { recursive: true, mode: 0o700 });
      return configFile;
    },
  });
}
