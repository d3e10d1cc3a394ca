/** What tests of CIM stand on. Imported by tests only. */
export {
  type BadKind,
  badBundle,
  badBundles,
  badKinds,
  echoEntry,
  largeBundle,
  olderThan,
  signed,
  type TestBundle,
  type TestBundleOptions,
  testBundle,
  testOperator,
  testPublisher,
  trusted,
} from './bundles.ts';
export { type IssueOptions, type TestAuthority, type TestCertificate, testAuthority } from './certificate.ts';
export { type ManualClock, manualClock } from './clock.ts';
export { fleet, type TestFleet } from './fleet.ts';
export { type CapturedLog, capturedLog, type LogEntry } from './log.ts';
export { type HubAndLeaf, hubAndLeaf, natsServer, type TestLeaf, type TestNats } from './nats.ts';
export { type TemporaryDirectory, temporaryDirectory } from './temporary.ts';
export { waitFor } from './wait.ts';
