/**
 * What packages/contracts says, as JSON on standard output, for nix-check to compare with: where the options of both `settings` (their
 * names come as the first argument, JSON) differ from the keys of the configurations, the permissions of the hub's parties, and what
 * crosses between its accounts. Runs on Node 24, like everything that loads our packages.
 */
import {
  Bytes,
  Cpu,
  crossings,
  DurationText,
  domainMappings,
  InstanceId,
  leafLimitsKept,
  NodeAgentConfig,
  PublicKey,
  permissionsOf,
  RegistryConfig,
} from '@cim/contracts';
import { keysOf, settingsDrift } from '@cim/nix-module';

/** Values to try on a parser and on the Nix type of the same word. */
const SAMPLES = {
  instanceId: [InstanceId, ['cim-prod-001', 'a', 'a'.repeat(63), 'a'.repeat(64), '-a', 'a-', 'A', 'a.b', 'a_b', '', 'a b']],
  bytes: [Bytes, ['4Gi', '64GB', '1048576', '1.5Gi', '0', '512k', '4gi', '4 Gi', '-1', 'Gi', '4Zi', '']],
  cpu: [Cpu, ['2', '500m', '0.5', '0', '2 cores', '-1', '.5', 'm', '2M', '']],
  duration: [DurationText, ['30m', '500ms', '1h30m', '10s', '30 m', '30', '1w', 'm', '']],
  publicKey: [
    PublicKey,
    [`A${'B'.repeat(55)}`, `O${'2'.repeat(55)}`, `U${'B'.repeat(55)}`, `A${'B'.repeat(54)}`, `A${'1'.repeat(55)}`, ''],
  ],
};

/** Versions of nats-server around each floor, as nixpkgs might carry them. */
const SERVERS = [
  '2.9.25',
  '2.10.29',
  '2.11.0',
  '2.11.15',
  '2.11.16',
  '2.11.20',
  '2.12.0',
  '2.12.6',
  '2.12.7',
  '2.12.10',
].concat(['2.13.0', '2.13.99', '2.14.0-RC.1', '2.14.0', '2.14.3', '2.15.1', '2.20.0', '3.0.0', '1.4.1', 'unstable']);

const PLACEHOLDER = 'instance-id';

const names = JSON.parse(process.argv[2]);
const drift = Object.entries({ nodeAgent: NodeAgentConfig, registry: RegistryConfig }).flatMap(([owner, schema]) => {
  const prefix = `cim.${owner}.settings.`;
  const declared = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  return settingsDrift(prefix, declared, keysOf(schema));
});

process.stdout.write(
  JSON.stringify({
    drift,
    keys: [keysOf(NodeAgentConfig).length, keysOf(RegistryConfig).length],
    samples: Object.entries(SAMPLES).flatMap(([type, [schema, values]]) =>
      values.map((value) => ({ type, value, good: schema.safeParse(value).success })),
    ),
    servers: SERVERS.map((version) => ({ version, keeps: leafLimitsKept(version) })),
    permissions: {
      placeholder: PLACEHOLDER,
      node: permissionsOf('node', PLACEHOLDER),
      registry: permissionsOf('registry', PLACEHOLDER),
      crossings: crossings(),
      domainMappings,
    },
  }),
);
