/** A bundle for a verb that publishes: a project to build, or a file built before with its signature beside it. */
import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Bundle } from '../bundle/bundle.ts';
import type { Session } from './session.ts';

/** @throws Fault when there is no project and no bundle at the path */
export async function bundleAt({ alchemist, render, io }: Session, path: string): Promise<Bundle> {
  const file = resolve(io.cwd, path);
  const isBundle = file.endsWith('.cim') && (await stat(file).catch(() => undefined))?.isFile();
  if (!isBundle) {
    const built = await (await alchemist()).bundle(path);
    for (const warning of built.warnings) render.warning(warning);
    return built;
  }
  const [{ openBundle }, { Attestation, decodeJson, Envelope }] = await Promise.all([
    import('../bundle/bundle.ts'),
    import('@cim/contracts'),
  ]);
  const signature = await readFile(`${file}.sig`, 'utf8').catch(() => undefined);
  const envelope = signature === undefined ? undefined : decodeJson(Envelope, signature, `${path}.sig`, 'signature-invalid');
  const provenance = await readFile(`${file}.provenance`, 'utf8').catch(() => undefined);
  const attestation =
    provenance === undefined ? undefined : decodeJson(Attestation, provenance, `${path}.provenance`, 'signature-invalid');
  return openBundle(await readFile(file), envelope, attestation);
}
