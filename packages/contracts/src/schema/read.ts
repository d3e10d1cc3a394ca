/**
 * How a node asks to read what the hub keeps: it names a row and a place to begin, and the registry makes it a consumer to pull from. A node
 * makes none itself: who makes a consumer says where it delivers, and so could have the hub write anywhere in its account.
 */
import { z } from 'zod';
import { READERS, readableRows } from '../topology.ts';

export const ReadRequest = z.strictObject({
  row: z.enum(readableRows),
  /** Which of the node's few consumers on that stream: the one of before, if any, is gone then. */
  slot: z.number().int().min(0).lt(READERS),
  /** The newest of each subject, or from this stream sequence on. */
  from: z.union([z.literal('last'), z.number().int().min(1)]),
});
export type ReadRequest = z.infer<typeof ReadRequest>;

export const ReadReply = z.object({
  stream: z.string(),
  consumer: z.string(),
  /** Messages that matched when it was made. */
  pending: z.number().int().nonnegative(),
});
export type ReadReply = z.infer<typeof ReadReply>;
