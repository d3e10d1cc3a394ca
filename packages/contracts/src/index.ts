/** The pure door of contracts. The second door, `@cim/contracts/bus`, speaks NATS over a connection handed in. */
export * from './accounts.ts';
export * from './archive.ts';
export * from './audit.ts';
export * from './base/backoff.ts';
export * from './base/lifecycle.ts';
export * from './base/log.ts';
export * from './base/time.ts';
export * from './chain.ts';
export * from './channels.ts';
export * from './docs.ts';
export * from './error-table.ts';
export * from './errors.ts';
export * from './field-issues.ts';
export * from './identity/claims.ts';
export * from './identity/creds.ts';
export * from './identity/enrol.ts';
export * from './identity/keys.ts';
export * from './identity/roles.ts';
export * from './identity/server-version.ts';
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
export * from './policy.ts';
export * from './provenance.ts';
export * from './quantity.ts';
export * from './reading.ts';
export * from './schema/call.ts';
export * from './schema/catalog.ts';
export * from './schema/config.ts';
export * from './schema/desired.ts';
export * from './schema/event.ts';
export * from './schema/http-grant.ts';
export * from './schema/log-entry.ts';
export * from './schema/manifest.ts';
export * from './schema/policy.ts';
export * from './schema/provenance.ts';
export * from './schema/read.ts';
export * from './schema/sandbox-layers.ts';
export * from './schema/sealed.ts';
export * from './schema/signature.ts';
export * from './schema/status.ts';
export * from './schema/token.ts';
export * from './schema/trust.ts';
export * from './sealing.ts';
export * from './signing.ts';
export * from './subject.ts';
export * from './topology.ts';
export * from './trust.ts';
export * from './trust-log.ts';
