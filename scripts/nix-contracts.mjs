/**
 * What packages/contracts says, as JSON on standard output, for nix-check to compare with: the keys of both configurations and the
 * permissions of the hub's parties. Runs on Node 24, like everything that loads our packages.
 */
import { NodeAgentConfig, permissionsOf, RegistryConfig } from '@cim/contracts';
import { z } from 'zod';

const PLACEHOLDER = 'instance-id';

/** Paths of the leaves of a JSON schema; what is free or a list ends the path. */
function keys(schema, path = []) {
  const properties = Object.entries(schema.properties ?? {});
  return properties.length === 0 ? [path.join('.')] : properties.flatMap(([name, inner]) => keys(inner, [...path, name]));
}

const keysOf = (schema) => keys(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })).sort();

process.stdout.write(
  JSON.stringify({
    nodeAgent: keysOf(NodeAgentConfig),
    registry: keysOf(RegistryConfig),
    permissions: {
      placeholder: PLACEHOLDER,
      node: permissionsOf('node', PLACEHOLDER),
      registry: permissionsOf('registry', PLACEHOLDER),
    },
  }),
);
