/**
 * The trust document on the leaf's disk: what operators said last about keys, honoured also when the hub is silent.
 *
 * Promises:
 * U1. Only a document that enough configured operators signed, newer than the one held and leaving out no revocation, is taken in.
 * U2. It is on the disk, synced, before it counts; a boot without the hub judges by it from the first workload on.
 * U3. Should configuration no longer know those who signed what lies on the disk, its revocations and its sequence still hold, and what
 *     it adds does not.
 */
import { readFile, rename } from 'node:fs/promises';
import {
  type Clock,
  type Condition,
  decodeJson,
  Fault,
  judgeTrust,
  type Logger,
  type Trust,
  type TrustDocument,
  TrustRecord,
  type TrustRoots,
  trustOf,
} from '@cim/contracts';
import { isAbsent, writeDurably } from '../bundle/durable.ts';

export interface TrustStore {
  load(): Promise<void>;
  /** What is trusted now; the same object until that changes. */
  now(): Trust;
  /** Takes in what the hub says. Never throws: a refusal is a condition. */
  intake(bytes: Uint8Array): Promise<'accepted' | 'unchanged' | 'refused'>;
  conditions(): Condition[];
}

export interface TrustStoreOptions {
  readonly file: string;
  readonly roots: TrustRoots;
  readonly clock: Clock;
  readonly log: Logger;
  readonly emit: (type: 'trust.changed' | 'trust.refused', data: Record<string, unknown>) => void;
}

export function createTrustStore({ file, roots, clock, log, emit }: TrustStoreOptions): TrustStore {
  let trust = trustOf(roots);
  const conditions = new Map<string, Condition>();
  const raise = (code: string, severity: Condition['severity'], title: string, detail: string) => {
    const since = conditions.get(code)?.since ?? new Date(clock.now()).toISOString();
    conditions.set(code, { code, severity, title, detail, since });
  };
  let refused = '';

  const expired = (document: TrustDocument | undefined): Condition[] => {
    if (document?.expires === undefined || clock.now() < Date.parse(document.expires)) return [];
    const detail = `document ${document.sequence} expired at ${document.expires}: publishers it adds may sign nothing new`;
    return [
      { code: 'trust-expired', severity: 'warning', title: 'The trust document has expired', detail, since: document.expires },
    ];
  };

  return {
    async load() {
      let text: string;
      try {
        text = await readFile(file, 'utf8');
      } catch (error) {
        if (isAbsent(error)) return;
        throw new Fault('internal', `${file}: ${(error as Error).message}`, { cause: error });
      }
      let record: TrustRecord;
      try {
        record = decodeJson(TrustRecord, text, 'trust document on disk');
      } catch (error) {
        const { message } = error as Error;
        await rename(file, `${file}.corrupt`).catch(() => {});
        log.error({ file, error: message }, 'the trust document on disk is unreadable and was put aside');
        const detail = `${message}; until the hub gives it again only the configuration counts, and nothing is known to be revoked`;
        return raise('trust-corrupt', 'error', 'The trust document on disk is unreadable', detail);
      }
      const { document } = record;
      try {
        judgeTrust(record, trust, 'taken');
        trust = trustOf(roots, document);
      } catch (error) {
        const { code, detail } = Fault.of(error, String(error));
        trust = trustOf(roots, { ...document, publishers: [] });
        log.warn({ code, detail }, 'the trust document on disk is not signed by those configured now; its revocations stay');
        const hint = `${code}: ${detail}; its revocations hold, publishers it adds do not. Sign a new one with the operators configured now`;
        raise('trust-unsigned', 'warning', 'The trust document on disk is not signed by the operators configured now', hint);
      }
    },
    now: () => trust,
    async intake(bytes) {
      try {
        const record = decodeJson(TrustRecord, bytes, 'trust document');
        if (judgeTrust(record, trust, clock.now()) === 'accepted') {
          await writeDurably(file, `${JSON.stringify(record)}\n`);
          const { document } = record;
          trust = trustOf(roots, document);
          const { sequence, publishers, revokedKeys, revokedBundles } = document;
          const data = {
            sequence,
            publishers: publishers.length,
            revokedKeys: revokedKeys.length,
            revokedBundles: revokedBundles.length,
          };
          log.info(data, 'a trust document was taken in');
          emit('trust.changed', data);
          conditions.clear();
          refused = '';
          return 'accepted';
        }
        conditions.delete('trust-refused');
        refused = '';
        return 'unchanged';
      } catch (error) {
        const { code, detail } = Fault.of(error, `trust document: ${(error as Error).message}`);
        raise('trust-refused', 'warning', 'A trust document was refused; the last good one stays', `${code}: ${detail}`);
        // Every full read brings it again: once is news.
        if (refused !== `${code} ${detail}`) {
          refused = `${code} ${detail}`;
          log.warn({ code, detail }, 'a trust document was refused');
          emit('trust.refused', { code, detail });
        }
        return 'refused';
      }
    },
    conditions: () => [...conditions.values(), ...expired(trust.document)],
  };
}
