/** What the process says when it ends. */
import type { ErrorCode } from '@cim/contracts';

export const exits = {
  ok: 0,
  /** It was tried and failed. */
  failed: 1,
  /** Flags, arguments, files or settings are not what they should be. */
  usage: 2,
  /** Somebody may not: token, signature, policy. */
  refused: 3,
  /** Time ran out, or the change is stored and not confirmed. */
  late: 4,
  /** Nobody answered. */
  unreachable: 5,
  /** Ended by Ctrl-C in the middle of something. */
  interrupted: 130,
} as const;

export const EXIT_HELP = `Exit codes: 0 done, 1 failed, 2 bad usage or input, 3 refused (token, signature, policy), 4 timed out or not confirmed,
5 unreachable`;

const byCode: Partial<Record<ErrorCode, number>> = {
  'invalid-input': exits.usage,
  'configuration-invalid': exits.usage,
  'bundle-malformed': exits.usage,
  'too-large': exits.usage,
  unsupported: exits.usage,
  unauthenticated: exits.refused,
  forbidden: exits.refused,
  'signer-unknown': exits.refused,
  'signature-invalid': exits.refused,
  'signer-expired': exits.refused,
  'publisher-revoked': exits.refused,
  'operator-revoked': exits.refused,
  'bundle-revoked': exits.refused,
  'scope-exceeded': exits.refused,
  'threshold-unmet': exits.refused,
  'log-missing': exits.refused,
  'log-forked': exits.refused,
  'sequence-rollback': exits.refused,
  'grant-refused': exits.refused,
  'policy-refused': exits.refused,
  'requirement-unmet': exits.refused,
  'deadline-exceeded': exits.late,
  'not-confirmed': exits.late,
  'hub-unreachable': exits.unreachable,
  'leaf-unreachable': exits.unreachable,
};

export const exitOf = (code: ErrorCode): number => byCode[code] ?? exits.failed;
