/** JSON Schema. The library makes one URL while it loads, as the base nobody reads: it gets a stand-in (a schema with `$id` has the real one). */
export { Validator } from '@cfworker/json-schema';
