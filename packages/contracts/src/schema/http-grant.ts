/**
 * What a workload may fetch: exact hosts, each with its own bounds. There is no pattern, since a name an author cannot list is a name
 * nobody can review.
 */
import { z } from 'zod';
import { Bytes, DurationText } from '../quantity.ts';

export const HttpHost = z
  .string()
  .max(253)
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])$/,
    'expected an exact host in lower case such as "api.example.org", an IPv4 address, or an IPv6 address in brackets',
  );

export const HttpGrant = z.strictObject({
  host: HttpHost,
  scheme: z.enum(['https', 'http']).optional().describe('Default "https".'),
  port: z.number().int().min(1).max(65_535).optional().describe("Default: the scheme's."),
  methods: z
    .array(z.string().regex(/^[A-Z]{3,20}$/, 'expected a method in capitals, e.g. "POST"'))
    .min(1)
    .max(16)
    .optional()
    .describe('Default ["GET", "HEAD"].'),
  paths: z
    .array(z.string().max(500).startsWith('/', 'expected a path that begins with "/"'))
    .min(1)
    .max(64)
    .optional()
    .describe('Paths it may ask for: exact, or all below one that ends in "/". Default: all.'),
  maxBytes: Bytes.optional().describe('Largest answer, as it came and unpacked. Default "1Mi", at most "16Mi".'),
  timeout: DurationText.optional().describe('For the whole exchange, redirects included. Default "10s", at most "60s".'),
  private: z
    .boolean()
    .optional()
    .describe('Whether the host may be at a private or loopback address. Default false. Link-local ones never are allowed.'),
});
export type HttpGrant = z.infer<typeof HttpGrant>;
