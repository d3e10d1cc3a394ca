/** The pure door of contracts. The second door, `@cim/contracts/bus`, speaks NATS over a connection handed in. */
export * from './archive.ts';
export * from './base/backoff.ts';
export * from './base/lifecycle.ts';
export * from './base/log.ts';
export * from './base/time.ts';
export * from './channels.ts';
export * from './docs.ts';
export * from './error-table.ts';
export * from './errors.ts';
export * from './field-issues.ts';
export {
  Capability,
  CapabilityPattern,
  ChannelName as ChannelNameSchema,
  Digest,
  DomainName,
  EventType,
  InstanceId,
  newId,
  PublicKey,
  SecretName,
  SubjectPattern,
  Version,
  WorkloadKind,
  WorkloadName,
} from './ids.ts';
export * from './nats-config.ts';
export * from './permissions.ts';
export * from './quantity.ts';
export * from './schema/call.ts';
export * from './schema/catalog.ts';
export * from './schema/config.ts';
export * from './schema/desired.ts';
export * from './schema/event.ts';
export * from './schema/manifest.ts';
export * from './schema/signature.ts';
export * from './schema/status.ts';
export * from './signing.ts';
export * from './subject.ts';
export * from './topology.ts';
