/** What tests of CIM stand on. Imported by tests only. */
export { type HubAndLeaf, hubAndLeaf, natsServer, type TestLeaf, type TestNats } from './nats.ts';
export { type TemporaryDirectory, temporaryDirectory } from './temporary.ts';
export { waitFor } from './wait.ts';
