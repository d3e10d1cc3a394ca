/** The operator's door and, for convenience, the author's. */
export { Fault } from '@cim/contracts';
export * from './agent.ts';
export { Alchemist } from './alchemist.ts';
export { type Bundle, type BundleOptions, bundle, openBundle, type SignedBundle, sign } from './bundle/bundle.ts';
export { type CheckName, checkNames, type DebugOptions, type DebugReport } from './debug.ts';
export {
  CustomService,
  type CustomServiceOptions,
  WorkflowAgent,
  type WorkflowAgentOptions,
  type WorkloadResources,
  type WorkloadSettings,
} from './definitions.ts';
export type { DeployResult } from './deploy/deploy.ts';
export type { DeployStep, StepKind } from './deploy/progress.ts';
export { Duration, type DurationLike } from './duration.ts';
export { type KeyRole, newSeed, readSeed, signerOf, writeSeed } from './keys.ts';
export type { MonitorOptions, Watch, WatchOptions } from './monitor.ts';
export type * from './options.ts';
export { type ConnectOptions, type Profile, ProfileFile } from './profile.ts';
export type { CatalogItem, NodeView, Published, SequencedEvent, WorkloadView } from './registry/answers.ts';
export type { EventQuery } from './registry/event-query.ts';
export type { SealedName, Secrets, SecretTarget } from './secrets/secrets.ts';
export { alerts, counters, lineLogger, logger, metrics } from './signals.ts';
