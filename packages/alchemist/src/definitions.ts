/**
 * Workloads as an operator writes them down for one deployment, in the words of the deployment guide.
 * They hold data only; `alchemist.deployAgent` and `alchemist.deployService` do the work.
 */
import type { Bundle } from './bundle/bundle.ts';
import { Duration, type DurationLike } from './duration.ts';

export interface WorkloadSettings {
  /** Calls one replica serves at a time. */
  readonly maxConcurrent?: number;
  /** Deadline of one call. */
  readonly timeout?: DurationLike;
  /** Longest stretch of synchronous work. */
  readonly turn?: DurationLike;
}

export interface WorkloadResources {
  readonly cpu?: string | number;
  readonly memory?: string | number;
  readonly storage?: string | number;
  readonly gpu?: string | number;
}

interface Common {
  /** Name of the workload; also that of its bundle. */
  readonly id: string;
  /** What it must offer; checked against the bundle before anything is changed. */
  readonly capabilities?: readonly string[];
  readonly configuration?: WorkloadSettings;
  readonly resources?: WorkloadResources;
  /** Values of `ctx.config`. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly replicas?: number;
  readonly isolation?: 'shared' | 'dedicated';
  /** Version, range or channel of the catalog; default `stable`. Not with `code`. */
  readonly version?: string;
  /** The bundle itself; without it the catalog's bundle of that name is deployed. */
  readonly code?: Bundle;
}

export type WorkflowAgentOptions = Common;
export interface CustomServiceOptions extends Common {
  /** Means the isolate's standard library. */
  readonly runtime?: 'nodejs';
}

/** An agent to deploy: `new WorkflowAgent({ id: 'doc-processor', capabilities: ['document.process'] })`. */
export class WorkflowAgent {
  readonly kind = 'agent' as const;
  readonly options: WorkflowAgentOptions;
  constructor(options: WorkflowAgentOptions) {
    this.options = checked('WorkflowAgent', options);
  }
  get id(): string {
    return this.options.id;
  }
}

/** A service to deploy: `new CustomService({ id: 'invoice-processor', runtime: 'nodejs', code: await bundle('./services/…') })`. */
export class CustomService {
  readonly kind = 'service' as const;
  readonly options: CustomServiceOptions;
  constructor(options: CustomServiceOptions) {
    this.options = checked('CustomService', options);
    if (options.runtime !== undefined && options.runtime !== 'nodejs') {
      throw new TypeError(`CustomService.runtime: expected "nodejs", found ${JSON.stringify(options.runtime)}`);
    }
  }
  get id(): string {
    return this.options.id;
  }
}

function checked<O extends Common>(what: string, options: O): O {
  if (typeof options?.id !== 'string') throw new TypeError(`${what}.id: expected a name such as "doc-processor"`);
  return Object.freeze({ ...options });
}

/** Settings as the schemas read them: lengths as text. */
export function settingsAsText(settings: WorkloadSettings = {}): { maxConcurrent?: number; timeout?: string; turn?: string } {
  const { maxConcurrent, timeout, turn } = settings;
  return {
    ...(maxConcurrent === undefined ? {} : { maxConcurrent }),
    ...(timeout === undefined ? {} : { timeout: `${Duration.from(timeout, 'configuration.timeout')}` }),
    ...(turn === undefined ? {} : { turn: `${Duration.from(turn, 'configuration.turn')}` }),
  };
}
