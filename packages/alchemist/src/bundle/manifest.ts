/** Definition, package.json and options to a manifest. Pure. Every wrong field is named at once. */
import { decode, Fault, Manifest } from '@cim/contracts';
import type { Definition } from './evaluate.ts';
import type { Project } from './project.ts';

/** What a caller may say instead of the definition and package.json. */
export interface ManifestOverrides {
  readonly name?: string;
  readonly version?: string;
  readonly description?: string;
}

/**
 * Overrides win over the definition, the definition over package.json.
 * @throws Fault `bundle-malformed` naming every wrong field
 */
export function manifestOf(
  definition: Definition,
  project: Pick<Project, 'defaults'>,
  overrides: ManifestOverrides = {},
): Manifest {
  const pick = (field: 'name' | 'version' | 'description') => overrides[field] ?? definition[field] ?? project.defaults[field];
  for (const field of ['name', 'version'] as const) {
    if (pick(field) === undefined) {
      const message = `missing: give it in the definition or in package.json`;
      throw new Fault('bundle-malformed', `manifest: ${field}: ${message}`, { issues: [{ path: field, message }] });
    }
  }
  const description = pick('description');
  return decode(
    Manifest,
    {
      ...definition,
      name: pick('name'),
      version: pick('version'),
      ...(description === undefined ? {} : { description }),
    },
    'manifest',
    'bundle-malformed',
  );
}
