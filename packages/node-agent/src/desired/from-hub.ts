/**
 * Takes what the hub says into the desired store, one batch after the other, and wakes whoever must act.
 */
import type { Logger } from '@cim/contracts';
import type { RawDesired } from '../hub/desired-source.ts';
import type { DesiredStore } from './store.ts';

export interface FromHubDeps {
  readonly desired: DesiredStore;
  readonly log: Logger;
  readonly accepted: () => void;
  /** Something was accepted or refused: worth a heartbeat. */
  readonly judged: () => void;
}

export interface FromHub {
  take(documents: readonly RawDesired[]): void;
  /** Resolves when what was taken has been judged. */
  settled(): Promise<void>;
}

export function takeFromHub({ desired, log, accepted, judged }: FromHubDeps): FromHub {
  let line: Promise<void> = Promise.resolve();
  return {
    take(documents) {
      // A deleted key says nothing (contracts, D2): only documents do.
      const entries = documents.flatMap(({ key, revision, bytes }) =>
        bytes === undefined ? [] : [{ key, revision, value: bytes }],
      );
      line = line
        .then(async () => {
          const report = await desired.intake(entries);
          if (report.accepted.length > 0) accepted();
          if (report.accepted.length > 0 || report.refused.length > 0) judged();
        })
        .catch((error) => log.error({ error: String(error) }, 'desired state could not be taken in'));
    },
    settled: () => line,
  };
}
