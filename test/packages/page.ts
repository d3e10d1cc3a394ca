/** docs/packages.md out of what ran. Pure. */

export interface Line {
  readonly name: string;
  readonly package: string;
  readonly version: string;
  /** Size of the bundle. */
  readonly kib: number;
  /** As expected. */
  readonly ok: boolean;
  /** It runs; else it is refused, as expected. */
  readonly runs: boolean;
  readonly note: string;
}

export function renderPage(lines: readonly Line[]): string {
  const runs = lines.filter((line) => line.runs);
  const refused = lines.filter((line) => !line.runs);
  return `# Packages that run in an isolate

Written by \`npm run test:packages\`; not to be edited by hand. Each package is used in earnest by an agent in \`test/packages/agents/\`, built by
the product's own bundler without changes to the package, run in an isolate of the real sandbox, and its answer compared with what is
expected. Versions are pinned in \`test/packages/package-lock.json\`.

${runs.length} run unmodified:

| package | version | bundle, KiB |
| --- | --- | ---: |
${runs.map((line) => `| ${line.package}${line.name === plainName(line.package) ? '' : ` (${line.name})`} | ${line.version} | ${line.kib} |`).join('\n')}

${refused.length} do not, and what to do:

| package | version | why |
| --- | --- | --- |
${refused.map((line) => `| ${line.package} | ${line.version} | ${line.note} |`).join('\n')}
`;
}

const plainName = (of: string): string => of.replace('@', '').replace('/', '-');
