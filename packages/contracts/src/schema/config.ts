/**
 * Configuration of the two daemons. Every key has a description: docs/config.md and the Nix options derive from here.
 * Strict: a key nobody reads is a mistake somebody made.
 */
import { z } from 'zod';
import { DomainName, InstanceId } from '../ids.ts';
import { Bytes, Cpu, DurationText } from '../quantity.ts';
import { Policy } from './policy.ts';
import { sandboxLayerKeys } from './sandbox-layers.ts';
import { Role, TokenScope } from './token.ts';
import { TrustedKey } from './trust.ts';

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
  insecureDev: z
    .boolean()
    .optional()
    .describe('Connect without user or credentials. For a laptop only; health warns of it as long as it is set.'),
});
export type NatsClientConfig = z.infer<typeof NatsClientConfig>;

export const HttpConfig = (port: number) =>
  z.strictObject({
    host: z.string().default('127.0.0.1').describe('Address to listen on; loopback unless said otherwise.'),
    port: z.number().int().min(0).max(65_535).default(port).describe('Port to listen on; 0 takes a free one and logs it.'),
  });

export const LogConfig = z.strictObject({
  level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info').describe('Least severe level that is written.'),
});

/** Operators and how many of them it takes; shared by both daemons so that they judge alike. */
const operatorThreshold = z
  .number()
  .int()
  .min(1)
  .max(16)
  .default(1)
  .describe('How many different operators must sign a desired or trust document.');
const enoughOperators = (trust: { readonly operators: readonly unknown[]; readonly operatorThreshold: number }) =>
  trust.operatorThreshold <= Math.max(trust.operators.length, 1);
const tooFew = {
  path: ['operatorThreshold'],
  error: 'expected at most as many as there are operators: nobody could sign anything',
};

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
  identity: z
    .strictObject({
      registry: z
        .url()
        .optional()
        .describe(
          'Address of the registry that renews the credential, e.g. "https://hub.example.com:8484". Absent: nobody does.',
        ),
      caFile: path.optional().describe("Certificate authority that signed the registry's certificate, PEM."),
      credentialsFile: path
        .optional()
        .describe('The credential the nats-server of this instance joins the hub with. Default: leaf.creds in stateDirectory.'),
    })
    .optional()
    .describe(
      'The identity of this instance on the hub, as `cim-node-agent enrol` made it. Absent: passwords, or none of ours.',
    ),
  trust: withDefaults(
    z
      .strictObject({
        publishers: z.array(TrustedKey).default([]).describe('Whose bundles may run here. Empty: none.'),
        operators: z
          .array(TrustedKey)
          .default([])
          .describe(
            'Who may sign desired and trust documents. Empty: unsigned desired documents are accepted, trust documents never.',
          ),
        operatorThreshold,
        logs: z
          .array(TrustedKey)
          .default([])
          .describe('Keys of the transparency log. When given, a bundle that is not in the log is not taken in.'),
      })
      .refine(enoughOperators, tooFew),
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
      passivateAfter: DurationText.optional().describe(
        'Idle time after which a replica gives its memory back: its `stop` runs, what it kept in memory is gone, and the next call, ' +
          'message or schedule starts it again and waits for that. A replica with a timer of its own stays. Default: never.',
      ),
      cgroup: z
        .enum(['auto', 'off'])
        .default('auto')
        .describe('"auto" uses a delegated cgroup v2 where there is one; "off" always uses the watchdog.'),
      ...sandboxLayerKeys,
    }),
  ).describe('Limits of the sandbox.'),
  policy: withDefaults(Policy).describe('What workloads may ask for here, whoever signed them.'),
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

/** A client certificate that stands for a caller: by its fingerprint, or by its subject where an authority is named. */
export const ClientCertificate = z
  .strictObject({
    name: z.string().min(1).max(100).describe('Whose certificate it is; written into audit and events.'),
    fingerprint: z
      .string()
      .regex(/^(?:[0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/, 'expected a SHA-256 fingerprint: 64 hex digits, colons allowed')
      .optional()
      .describe('SHA-256 fingerprint of the certificate (openssl x509 -fingerprint -sha256). Needs no authority.'),
    subject: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe(
        'Subject of the certificate, e.g. "CN=ci,O=Acme"; only with `clientCaFile`, and only when that authority signed it.',
      ),
    roles: z.array(Role).min(1).max(4).describe('What it allows, as for a token.'),
    scope: TokenScope.optional().describe('What it is good for, as for a token.'),
  })
  .refine(({ fingerprint, subject }) => (fingerprint === undefined) !== (subject === undefined), {
    path: ['fingerprint'],
    error: 'expected either a fingerprint or a subject',
  })
  .refine(({ roles, scope }) => !(roles.includes('admin') && scope !== undefined), {
    path: ['scope'],
    error: 'expected no scope beside the role admin: an admin can make any token',
  });
export type ClientCertificate = z.infer<typeof ClientCertificate>;

const RegistryTls = z.strictObject({
  certFile: path.describe('Certificate of the registry with its chain, PEM. Read again when it changes.'),
  keyFile: path.describe('Key of the certificate, PEM. Read again when it changes.'),
  clientCaFile: path.optional().describe('Authorities whose client certificates are believed by their subject, PEM.'),
  clients: z
    .array(ClientCertificate)
    .max(1000)
    .default([])
    .describe('Client certificates and what they allow. Empty: none are asked for.'),
});

/** Configuration of the registry: `/etc/cim/registry.json`. */
export const RegistryConfig = z.strictObject({
  nats: NatsClientConfig.extend({
    domain: z.string().default('hub').describe('JetStream domain of the hub.'),
  }).describe("The hub's nats-server."),
  http: withDefaults(
    HttpConfig(8484).extend({
      tls: RegistryTls.optional().describe(
        'TLS served by the registry itself. Absent: plain HTTP, for loopback or behind a proxy.',
      ),
      maxConnections: z
        .number()
        .int()
        .min(1)
        .max(100_000)
        .default(4096)
        .describe('Connections at a time; one more is closed at once.'),
      bodyTimeout: DurationText.default('20s').describe('Longest wait for the body of a request that is no upload.'),
    }),
  ).describe("The registry's API."),
  tokensFile: path.describe('Token file, `{"tokens":[{"name":…,"sha256":…,"roles":[…]}]}`. Read again when it changes.'),
  trust: withDefaults(
    z
      .strictObject({
        publishers: z.array(TrustedKey).default([]).describe('Whose bundles are accepted. Empty: none.'),
        operators: z.array(TrustedKey).default([]).describe('Who may sign desired and trust documents; checked when given.'),
        operatorThreshold,
      })
      .refine(enoughOperators, tooFew),
  ).describe('Keys the registry accepts; each node decides for itself again.'),
  transparency: withDefaults(
    z.strictObject({
      seedFile: path
        .optional()
        .describe(
          'File with the seed of the log key (alchemist keys new log). Every publish, channel move and trust document is then appended to the transparency log.',
        ),
    }),
  ).describe('The transparency log.'),
  identity: z
    .strictObject({
      account: z
        .string()
        .regex(/^A[A-Z2-7]{55}$/, 'expected the account\'s public key: 56 characters that start with "A"')
        .describe("Public key of the hub's account; alchemist hub init prints it."),
      signingSeedFile: path.describe(
        'Seed of the signing key of the role node: what credentials of instances are signed with.',
      ),
      validity: DurationText.default('90d').describe('How long a credential of an instance is good.'),
      perMinute: z.number().int().min(1).default(30).describe('Enrolments and renewals one address may ask for in a minute.'),
    })
    .optional()
    .describe('Identities of instances on NATS. Absent: this registry enrols nobody.'),
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
      failuresPerMinute: z
        .number()
        .int()
        .min(1)
        .default(30)
        .describe(
          'Wrong tokens one address may send in a minute; each is answered later than the last. A good token is served all the same.',
        ),
    }),
  ).describe('Limits of the API.'),
  log: withDefaults(LogConfig).describe("The registry's own log, JSON lines on standard error."),
});
export type RegistryConfig = z.infer<typeof RegistryConfig>;
