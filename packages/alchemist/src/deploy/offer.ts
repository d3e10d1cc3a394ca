/** What a bundle offers against what an operator expects of it, and the checks of an operator's input. Pure. */
import { Capability, type CatalogEntry, Fault, InstanceId, type Manifest } from '@cim/contracts';
import type { z } from 'zod';

/** The capabilities wanted that the manifest does not have, in the order given. */
export function missingCapabilities(manifest: Pick<Manifest, 'capabilities'>, wanted: readonly string[]): string[] {
  return wanted.filter((capability) => !Object.hasOwn(manifest.capabilities, capability));
}

/** The refusal for {@link missingCapabilities}. */
export function notOffered({ name, version, manifest }: CatalogEntry, missing: readonly string[]): Fault {
  const offered = Object.keys(manifest.capabilities).sort().join(', ') || 'nothing';
  return new Fault('requirement-unmet', `${name}@${version} does not offer ${missing.join(', ')}; it offers ${offered}`, {
    issues: missing.map((capability) => ({
      path: 'capabilities',
      message: `${capability} is not offered by ${name}@${version}`,
    })),
  });
}

export function badField(path: string, message: string): Fault {
  return new Fault('invalid-input', `${path}: ${message}`, { issues: [{ path, message }] });
}

/** @throws Fault `invalid-input` naming the field, what was found and what was expected */
export function checkInstance(value: string): InstanceId {
  return checkWith(InstanceId, 'instance', value);
}
export function checkCapability(value: string): Capability {
  return checkWith(Capability, 'capability', value);
}

function checkWith<S extends z.ZodType>(schema: S, path: string, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw badField(path, `${parsed.error.issues[0]!.message}, found ${JSON.stringify(value)}`);
}
