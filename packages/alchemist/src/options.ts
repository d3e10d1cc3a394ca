/** Shapes of what the operator's door takes and gives. */
import type { DesiredRecord, Fault, LogLine } from '@cim/contracts';
import type { Bundle } from './bundle/bundle.ts';
import type { LogFilter } from './connection.ts';
import type { WorkloadResources, WorkloadSettings } from './definitions.ts';
import type { DeployStep } from './deploy/progress.ts';
import type { DurationLike } from './duration.ts';
import type { NodeView, WorkloadView } from './registry/answers.ts';

export interface PublishOptions {
  /** Channel to point at this version, e.g. `stable`. */
  readonly channel?: string;
  readonly onProgress?: (sentBytes: number, totalBytes: number) => void;
  readonly timeout?: DurationLike;
  readonly signal?: AbortSignal;
}

/** How a change is carried out. */
export interface DeployDefaults {
  /** Wait until the node has done it. Default true. */
  readonly wait?: boolean;
  /** Longest wait. Default 60s. */
  readonly timeout?: DurationLike;
  /** Told each step as it happens. */
  readonly onStep?: (step: DeployStep) => void;
  /** For people who read the events later. */
  readonly reason?: string;
  /** How often to read and write again when someone else wrote first. Default 0: be told. */
  readonly retryConflicts?: number;
  readonly signal?: AbortSignal;
  /** Takes the signed document instead of the registry, so that other operators can sign it first; nothing is waited for then. */
  readonly draft?: (record: DesiredRecord, revision: number | undefined) => Promise<void>;
  /** Values to seal to the node, by secret name; they join what is sealed already. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Allows a version older than the newest already run. */
  readonly rollback?: boolean;
  /** Begin at the defaults instead of at what is deployed. */
  readonly reset?: boolean;
  /** How to publish a bundle given as code. */
  readonly publish?: PublishOptions;
}

export interface DeployOptions extends DeployDefaults {
  readonly instance: string;
  /** Name in the catalog; or `bundle`. */
  readonly name?: string;
  /** Published first where it is not yet. */
  readonly bundle?: Bundle;
  /** Refused when the bundle is of the other kind. */
  readonly kind?: 'agent' | 'service';
  /** Version or range. */
  readonly version?: string;
  /** Channel; without any of these `stable`, else the highest release. */
  readonly channel?: string;
  /** Each must be offered by the bundle. */
  readonly capabilities?: readonly string[];
  readonly replicas?: number;
  readonly isolation?: 'shared' | 'dedicated';
  readonly resources?: WorkloadResources;
  readonly configuration?: WorkloadSettings;
  /** Values of `ctx.config`. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface UndeployOptions extends Omit<DeployDefaults, 'rollback' | 'reset' | 'publish'> {
  readonly instance: string;
  readonly name: string;
  readonly kind?: 'agent' | 'service';
}

export interface AskOptions {
  /** This instance and no other. */
  readonly instance?: string;
  /** How long to wait for the answer. Default 30s. */
  readonly timeout?: DurationLike;
  readonly correlationId?: string;
  /** W3C trace context to continue. */
  readonly traceparent?: string;
  /** Told who answered and how long it took. */
  readonly onReply?: (facts: {
    readonly servedBy: string | undefined;
    readonly callId: string;
    readonly elapsedMs: number;
  }) => void;
}

export interface LogsOptions extends LogFilter {
  readonly onLine: (line: LogLine) => void;
  /** The connection ended for good. */
  readonly onEnd?: (fault: Fault | undefined) => void;
}
export interface LogWatch {
  stop(): void;
}

export interface StatusReport {
  readonly nodes: readonly NodeView[];
  readonly workloads: readonly WorkloadView[];
}
