/**
 * Keeps the credential of this instance good: looks at it, renews it in time, says when it ends.
 *
 * Promises:
 * K1. Renewed when a third of its life is left, then tried on with growing pauses; a registry that is away costs nothing until the end.
 * K2. Its end is a metric; when a sixth is left and no new one came, a condition says so; past the end another does.
 * K3. When a credential that was replaced ends is told ahead, also after a restart of the node or when it was replaced by hand
 *     (`cim-node-agent enrol --replace`).
 * K4. Nothing here holds up the start, and no failure here stops the node: what runs goes on.
 */
import { backoffDelay, type Clock, Fault, type Logger, type Timer } from '@cim/contracts';
import type { Conditions } from '../conditions.ts';
import type { RegistryDoor } from './ask-registry.ts';
import type { CredentialsFile } from './credentials-file.ts';
import { renew } from './enrol.ts';

export interface CredentialKeeper {
  start(): void;
  /** When the credential ends, seconds since 1970; undefined while there is none or it has no end. */
  expiresAt(): number | undefined;
  stop(): Promise<void>;
}

export interface CredentialKeeperDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly conditions: Conditions;
  readonly instance: string;
  readonly file: CredentialsFile;
  /** Absent: nobody to ask; its end is only watched. */
  readonly door: RegistryDoor | undefined;
  /** Told when a credential that was replaced ends, ms since 1970, the soonest to come: a link made with it is cut then. */
  readonly replaced: (endsAtMs: number) => void;
}

/** Looks at least this often: a file may be replaced by hand. */
const LOOK_MS = 60_000;

export function createCredentialKeeper(deps: CredentialKeeperDeps): CredentialKeeper {
  const { clock, random, log, conditions, instance, file, door } = deps;
  let ends: number | undefined;
  let timer: Timer | undefined;
  let looking: Promise<void> = Promise.resolve();
  let stopped = false;
  let failures = 0;
  let told: number | undefined;

  const tellReplaced = async () => {
    const now = clock.now();
    const soonest = Math.min(...(await file.replaced()).filter((at) => at > now));
    if (!Number.isFinite(soonest) || soonest === told) return;
    told = soonest;
    deps.replaced(soonest);
  };

  const judge = (issuedAt: number, expiresAt: number | undefined) => {
    ends = expiresAt;
    const now = clock.now() / 1000;
    const left = (expiresAt ?? Number.POSITIVE_INFINITY) - now;
    const life = (expiresAt ?? Number.POSITIVE_INFINITY) - issuedAt;
    const until = expiresAt === undefined ? '' : new Date(expiresAt * 1000).toISOString();
    if (left <= 0) {
      conditions.set(
        'credentials-expired',
        'error',
        "The leaf's credential has ended",
        `it ended ${until}; enrol this instance anew`,
      );
    } else conditions.clear('credentials-expired');
    if (left > 0 && left < life / 6) {
      const why = door === undefined ? 'no registry is set to renew it (identity.registry)' : 'no renewal has succeeded';
      conditions.set('credentials-expiring', 'warning', "The leaf's credential ends soon", `it ends ${until}; ${why}`);
    } else conditions.clear('credentials-expiring');
    return { left, life };
  };

  const look = async (): Promise<number> => {
    await tellReplaced();
    const held = await file.read();
    if (!held) {
      ends = undefined;
      conditions.set(
        'not-enrolled',
        'warning',
        'This instance has no credential',
        `there is no ${file.path}: cim-node-agent enrol`,
      );
      return LOOK_MS;
    }
    conditions.clear('not-enrolled');
    const { issuedAt, expiresAt } = held.claims;
    const { left, life } = judge(issuedAt, expiresAt);
    if (expiresAt === undefined) return LOOK_MS;
    const untilRenewal = (left - life / 3) * 1000;
    if (untilRenewal > 0 || door === undefined || left <= 0) return Math.min(LOOK_MS, Math.max(untilRenewal, 100));
    const claims = await renew({ instance, door, file, now: clock.now() });
    failures = 0;
    log.info({ key: claims.subject, expiresAt: claims.expiresAt }, 'the credential was renewed, with a new key');
    judge(claims.issuedAt, claims.expiresAt);
    await tellReplaced();
    return 100;
  };

  const round = async () => {
    let next: number;
    try {
      next = await look();
    } catch (error) {
      const { code, detail } = Fault.of(error);
      if (failures === 0) log.warn({ code, detail }, 'the credential could not be renewed, trying on');
      // From a tenth of a second, for lives of seconds, to minutes.
      next = backoffDelay({ base: 100, cap: LOOK_MS, factor: 2 }, failures++, random());
    }
    if (!stopped) timer = clock.after(next, begin);
  };
  const begin = () => {
    looking = round();
  };

  return {
    start: begin,
    expiresAt: () => ends,
    async stop() {
      stopped = true;
      timer?.cancel();
      await looking;
      timer?.cancel();
    },
  };
}
