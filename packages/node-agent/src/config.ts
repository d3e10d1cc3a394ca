/**
 * Reads the configuration once, at the door. What is wrong is named by its path; inside stands one frozen document without gaps.
 */
import { readFile } from 'node:fs/promises';
import { decodeJson, Fault, NodeAgentConfig } from '@cim/contracts';

/** @throws Fault `configuration-invalid` with every wrong field */
export async function readConfig(path: string): Promise<NodeAgentConfig> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new Fault('configuration-invalid', `cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  return Object.freeze(decodeJson(NodeAgentConfig, text, path, 'configuration-invalid'));
}
