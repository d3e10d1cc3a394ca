/**
 * What a row of the route table is, and the schemas that rows of several files have in common.
 */
import { z } from 'zod';
import type { Permission } from './permissions.ts';

/** Schemas of a request and its good answers. */
interface RouteSchemas {
  readonly params?: z.ZodType;
  readonly querystring?: z.ZodType;
  readonly headers?: z.ZodType;
  readonly body?: z.ZodType;
  readonly response?: Readonly<Record<number, z.ZodType | { readonly content: unknown; readonly description: string }>>;
}

export interface RouteRow {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly permission: Permission;
  readonly tag: 'catalog' | 'desired' | 'fleet' | 'events' | 'access' | 'trust' | 'process';
  readonly summary: string;
  readonly schema: RouteSchemas;
}

export const Reason = z
  .string()
  .max(4_600)
  .optional()
  .describe(
    "Why, in words; kept in the audit log. Beyond ASCII as `UTF-8''` and percent-encoded bytes (RFC 8187); at most 500 characters.",
  );

/** A whole number in a query. */
export const wholeNumber = (most: number) =>
  z
    .string()
    .regex(/^\d{1,7}$/, 'expected a whole number')
    .refine((text) => Number(text) >= 1 && Number(text) <= most, `expected 1 to ${most}`)
    .optional();

/** An answer that is no JSON. */
export const raw = (type: string, description: string) => ({ description, content: { [type]: { schema: z.string() } } });
