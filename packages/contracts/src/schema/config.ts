/**
 * Configuration of the two daemons. Every key has a description: docs/config.md and the Nix options derive from here.
 * Strict: a key nobody reads is a mistake somebody made.
 */
import { z } from 'zod';
import { DomainName, InstanceId, PublicKey } from '../ids.ts';
import { Bytes, Cpu, DurationText } from '../quantity.ts';

const path = z.string().min(1).max(4096);

export const NatsClientConfig = z.strictObject({
  url: z
    .union([z.string().min(1), z.array(z.string().min(1)).min(1)])
    .describe('Address of the nats-server, or several, e.g. "nats://127.0.0.1:4222".'),
  credentialsFile: path.optional().describe('Credentials file (JWT and seed).'),
  user: z.string().min(1).optional().describe('User name, where the server knows users.'),
  passwordFile: path.optional().describe('File that holds the password of `user`.'),
  tls: z
    .strictObject({
      caFile: path.optional().describe("Certificate authority that signed the server's certificate, PEM."),
      certFile: path.optional().describe('Client certificate, PEM.'),
      keyFile: path.optional().describe('Key of the client certificate, PEM.'),
    })
    .optional()
    .describe('TLS towards the nats-server.'),
});
export type NatsClientConfig = z.infer<typeof NatsClientConfig>;

export const HttpConfig = (port: number) =>
  z.strictObject({
    host: z.string().default('127.0.0.1').describe('Address to listen on; loopback unless said otherwise.'),
    port: z.number().int().min(0).max(65_535).default(port).describe('Port to listen on; 0 takes a free one and logs it.'),
  });

export const TrustedKey = z.strictObject({
  name: z.string().min(1).max(100).describe('Whose key it is, for people.'),
  key: PublicKey.describe('Public nkey; alchemist keys show prints it.'),
});

export const LogConfig = z.strictObject({
  level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('Least severe level that is written.'),
});

const withDefaults = <S extends z.ZodType>(schema: S) => schema.prefault({} as never);

/** Configuration of the node-agent: `/etc/cim/config.json`. */
export const NodeAgentConfig = z.strictObject({
  instance: z
    .strictObject({
      id: InstanceId.describe('Id of this instance; also the JetStream domain of its leaf.'),
      name: z.string().max(200).optional().describe('Name for people. Default: the id.'),
      location: z.string().max(200).optional().describe('Where it stands, e.g. "us-east-1".'),
      capabilities: z
        .array(z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'expected a capability of the machine such as "gpu"'))
        .max(64)
        .default([])
        .describe('What the machine offers beyond what is detected, e.g. `["gpu"]`.'),
    })
    .describe('Who this instance is.'),
  nats: NatsClientConfig.extend({
    hubDomain: z.string().default('hub').describe('JetStream domain of the hub.'),
  }).describe("The leaf's own nats-server."),
  http: withDefaults(HttpConfig(9090)).describe('Health, metrics and the read-only API.'),
  stateDirectory: path.default('/var/lib/cim-agent').describe('Where last good desired state and bundles are kept.'),
  secretsDirectory: path
    .optional()
    .describe(
      'Directory of secret files a workload may read by name when its manifest asks (for systemd: the credentials directory).',
    ),
  trust: withDefaults(
    z.strictObject({
      publishers: z.array(TrustedKey).default([]).describe('Whose bundles may run here. Empty: none.'),
      operators: z
        .array(TrustedKey)
        .default([])
        .describe('Who may sign desired documents. Empty: unsigned documents are accepted.'),
    }),
  ).describe('Keys this node trusts. The hub is not among them.'),
  sandbox: withDefaults(
    z.strictObject({
      maxWorkloads: z.number().int().min(1).max(100_000).default(1000).describe('Replicas this node runs at most.'),
      spareCells: z.number().int().min(0).max(16).default(1).describe('Cells kept warm, so that a start takes milliseconds.'),
      memory: Bytes.optional().describe("Memory all workloads may ask for in all. Default: four fifths of the machine's."),
      cpu: Cpu.optional().describe("Cores all workloads may use in all. Default: the machine's."),
      cellMemoryAllowance: Bytes.default('96Mi').describe(
        'What a cell may hold beyond the heaps of its workloads before it is ended.',
      ),
      maxReply: Bytes.default('1Mi').describe('Largest answer of a call.'),
      maxQueue: z.number().int().min(0).default(1024).describe('Calls that may wait for a replica beyond maxConcurrent.'),
      startTimeout: DurationText.default('20s').describe('Longest start of a replica, from cell to ready.'),
      cgroup: z
        .enum(['auto', 'off'])
        .default('auto')
        .describe('"auto" uses a delegated cgroup v2 where there is one; "off" always uses the watchdog.'),
    }),
  ).describe('Limits of the sandbox.'),
  cache: withDefaults(
    z.strictObject({
      maxBytes: Bytes.default('8Gi').describe('Bundles kept on disk beyond those in use; the least recently used go first.'),
    }),
  ).describe('The bundle cache.'),
  timing: withDefaults(
    z.strictObject({
      heartbeat: DurationText.default('10s').describe('Time between two heartbeats.'),
      resync: DurationText.default('30s').describe('Time between two full reads of desired state, whatever the watch said.'),
      drain: DurationText.default('20s').describe('How long calls in flight may take when a replica or the node drains.'),
      probe: DurationText.default('10s').describe('Time between two health probes of a workload.'),
    }),
  ).describe('Periods and deadlines.'),
  domains: z
    .record(
      DomainName,
      z.looseObject({
        enable: z.boolean().default(true).describe('Whether the domain runs on this instance.'),
        config: z.record(z.string(), z.unknown()).default({}).describe("The domain's own settings, handed to it as they are."),
      }),
    )
    .default({})
    .describe('Domains switched on for this instance, as in cim.domains.'),
  log: withDefaults(LogConfig).describe("The node-agent's own log, JSON lines on standard error."),
});
export type NodeAgentConfig = z.infer<typeof NodeAgentConfig>;

export const Role = z.enum(['viewer', 'publisher', 'operator', 'admin']);
export type Role = z.infer<typeof Role>;

/** One line of the registry's token file. The token itself is never stored, only its SHA-256. */
export const TokenEntry = z.strictObject({
  name: z.string().min(1).max(100).describe('Whose token it is; written into audit and events.'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'expected a SHA-256: 64 lower-case hex digits')
    .describe('SHA-256 of the token, hex.'),
  roles: z.array(Role).min(1).describe('What it allows: viewer reads, publisher publishes, operator deploys, admin does all.'),
  expiresAt: z.iso.datetime().optional().describe('When it ends.'),
});
export type TokenEntry = z.infer<typeof TokenEntry>;
export const TokenFile = z.strictObject({ tokens: z.array(TokenEntry).max(10_000) });

/** Configuration of the registry: `/etc/cim/registry.json`. */
export const RegistryConfig = z.strictObject({
  nats: NatsClientConfig.extend({
    domain: z.string().default('hub').describe('JetStream domain of the hub.'),
  }).describe("The hub's nats-server."),
  http: withDefaults(HttpConfig(8484)).describe("The registry's API."),
  tokensFile: path.describe('Token file, `{"tokens":[{"name":…,"sha256":…,"roles":[…]}]}`. Read again when it changes.'),
  trust: withDefaults(
    z.strictObject({
      publishers: z.array(TrustedKey).default([]).describe('Whose bundles are accepted. Empty: none.'),
      operators: z.array(TrustedKey).default([]).describe('Who may sign desired documents; checked when given.'),
    }),
  ).describe('Keys the registry accepts; each node decides for itself again.'),
  topology: withDefaults(
    z.strictObject({
      replicas: z
        .number()
        .int()
        .min(1)
        .max(5)
        .default(1)
        .describe('Copies of every stream and bucket: 1 on a single hub, 3 on a cluster.'),
      storage: z.enum(['file', 'memory']).default('file').describe('Where the hub keeps streams.'),
    }),
  ).describe("How the hub's streams are kept."),
  limits: withDefaults(
    z.strictObject({
      maxBundle: Bytes.default('256Mi').describe('Largest bundle.'),
      maxBody: Bytes.default('1Mi').describe('Largest body of any other request.'),
      requestsPerMinute: z.number().int().min(1).default(6000).describe('Requests one token may send in a minute.'),
    }),
  ).describe('Limits of the API.'),
  log: withDefaults(LogConfig).describe("The registry's own log, JSON lines on standard error."),
});
export type RegistryConfig = z.infer<typeof RegistryConfig>;
