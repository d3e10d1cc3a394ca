/** Entries of the transparency log: links of a hash chain (chain.ts), each signed by the registry's log key. */
import type { z } from 'zod';
import { chainEntry } from '../chain.ts';
import { Signature } from './signature.ts';
import { LogBody } from './trust.ts';

/** Name of the chain. */
export const TRANSPARENCY = 'transparency';

export const LogEntry = chainEntry(LogBody)
  .extend({ signature: Signature.describe('Of the log key, over sequence and hash.') })
  .meta({ id: 'LogEntry' });
export type LogEntry = z.infer<typeof LogEntry>;
