/** Requests about trust, the transparency log and provenance: a part of the registry's client. */
import { Attestation, decodeJson, Fault, LogEntry, TrustRecord } from '@cim/contracts';
import { z } from 'zod';

const Stored = z.object({ revision: z.number().int(), record: TrustRecord });
const Put = Stored.extend({ changed: z.boolean() });
const Head = z.object({
  head: z.object({ sequence: z.number().int(), hash: z.string() }).nullable(),
  key: z.string().nullable(),
});

/** What the client gives: an answer as a schema types it, or as it is. */
export interface Asking {
  ask<S extends z.ZodType>(schema: S, path: string, request?: { method?: 'GET' | 'PUT'; body?: unknown }): Promise<z.output<S>>;
  text(path: string): Promise<string>;
  at(...parts: string[]): string;
}

/** Undefined where there is none. */
async function orNone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Fault && error.code === 'not-found') return undefined;
    throw error;
  }
}

export function trustRequests({ ask, text, at }: Asking) {
  const provenance = (name: string, version: string) => `/catalog${at(name)}/versions${at(version)}/provenance`;
  return {
    /** The trust document, or undefined when there is none. */
    trust: () => orNone(ask(Stored, '/trust')),
    putTrust: (record: TrustRecord) => ask(Put, '/trust', { method: 'PUT', body: record }),
    /** At most `limit` entries of the transparency log after a place. */
    async log(after: number, limit: number): Promise<LogEntry[]> {
      const lines = (await text(`/log?after=${after}&limit=${limit}`)).split('\n');
      return lines
        .filter((line) => line !== '')
        .map((line, i) => decodeJson(LogEntry, line, `log entry ${after + i + 1}`, 'log-forked'));
    },
    logHead: () => ask(Head, '/log/head'),
    /** Undefined where the version has none. */
    provenance: (name: string, version: string) => orNone(ask(Attestation, provenance(name, version))),
    putProvenance: (name: string, version: string, attestation: Attestation) =>
      ask(z.object({ created: z.boolean() }), provenance(name, version), { method: 'PUT', body: attestation }),
  };
}
