/** The registry is a program (`cim-registry`); its door is the composition root and the route table, for embedding and tests. */
export { readConfig, type Settings, settingsOf } from './config.ts';
export { renderApiDoc } from './http/api-page.ts';
export type { RouteRow } from './http/route.ts';
export { routes } from './http/routes.ts';
export { type RegistryOptions, type RunningRegistry, startRegistry } from './registry.ts';
