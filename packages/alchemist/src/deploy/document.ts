/**
 * The next desired document of a workload. Pure: what stands, what is wished, who asks and when.
 *
 * Promises:
 * D1. `generation` is one more than what stands; where nothing stands, one more than the node has seen.
 * D2. What a wish does not mention stays as it is deployed; after a removal, or with `reset`, everything begins at the defaults.
 *     `rollback` and `reason` are of one deployment only and never stay.
 */
import { Desired, decode } from '@cim/contracts';

/** What an operator asks for; absent means "as it is". */
export interface Wish {
  readonly replicas?: number | undefined;
  readonly isolation?: 'shared' | 'dedicated' | undefined;
  readonly resources?: Readonly<Record<string, unknown>> | undefined;
  readonly configuration?: Readonly<Record<string, unknown>> | undefined;
  readonly config?: Readonly<Record<string, unknown>> | undefined;
  readonly rollback?: boolean | undefined;
  readonly reason?: string | undefined;
  /** Values to seal for the workload, by secret name; they join those that are there. */
  readonly secrets?: Readonly<Record<string, string>> | undefined;
  /** Forget what is deployed and begin at the defaults. */
  readonly reset?: boolean | undefined;
}

export interface Target {
  readonly instance: string;
  readonly kind: 'agent' | 'service';
  readonly name: string;
  readonly bundle: Desired['bundle'];
}

export interface Author {
  readonly issuedBy: string;
  /** ms since 1970. */
  readonly now: number;
}

/** @throws Fault `invalid-input` naming every wrong field */
export function nextDocument(
  before: Desired | undefined,
  target: Target,
  wish: Wish,
  author: Author,
  /** Highest generation the node has answered to: where the hub has lost its memory, it goes on above that. */
  seen = 0,
  /** What `wish.secrets` became. */
  boxes: NonNullable<Desired['secrets']> = {},
): Desired {
  const kept = before === undefined || before.state === 'removed' || wish.reset === true ? undefined : before;
  const given = Object.fromEntries(
    (['replicas', 'isolation', 'resources', 'configuration', 'config'] as const)
      .map((field) => [field, wish[field] ?? kept?.[field]] as const)
      .filter(([, value]) => value !== undefined),
  );
  const secrets = { ...kept?.secrets, ...boxes };
  return decode(
    Desired,
    {
      api: 1,
      ...target,
      ...given,
      ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
      generation: (before?.generation ?? seen) + 1,
      state: 'running',
      rollback: wish.rollback ?? false,
      issuedAt: new Date(author.now).toISOString(),
      issuedBy: author.issuedBy.slice(0, 200),
      ...(wish.reason === undefined ? {} : { reason: wish.reason }),
    },
    'deployment',
  );
}

/** The same workload with other secrets; nothing else in it changes. @throws Fault `invalid-input` */
export function withSecrets(before: Desired, secrets: Desired['secrets'], author: Author, reason?: string): Desired {
  const { reason: _, secrets: __, ...rest } = before;
  return decode(
    Desired,
    {
      ...rest,
      ...(secrets === undefined || Object.keys(secrets).length === 0 ? {} : { secrets }),
      generation: before.generation + 1,
      // A rollback was allowed for the deployment that asked for it, and for that alone.
      rollback: false,
      issuedAt: new Date(author.now).toISOString(),
      issuedBy: author.issuedBy.slice(0, 200),
      ...(reason === undefined ? {} : { reason }),
    },
    'secrets',
  );
}

/** The document that ends a workload; what was sealed for it goes with it. */
export function removalOf(before: Desired, author: Author, reason?: string): Desired {
  const { reason: _, secrets: __, ...rest } = before;
  return decode(
    Desired,
    {
      ...rest,
      generation: before.generation + 1,
      state: 'removed',
      issuedAt: new Date(author.now).toISOString(),
      issuedBy: author.issuedBy.slice(0, 200),
      ...(reason === undefined ? {} : { reason }),
    },
    'removal',
  );
}

/** True when two documents ask for the same, whoever asked and when. */
export function sameWish(a: Desired, b: Desired): boolean {
  const essence = ({ generation, issuedAt, issuedBy, reason, rollback, ...rest }: Desired) => JSON.stringify(sorted(rest));
  return essence(a) === essence(b);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}
