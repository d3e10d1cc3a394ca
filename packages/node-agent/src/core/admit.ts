/**
 * May this bundle run here? Pure; asked once a bundle is here and verified, before anything of it runs.
 *
 * Promises:
 * A1. A refusal names the field, what was asked for, what there is, and carries a code of the error table.
 * A2. Subjects that belong to the product or the server (`cim`, `$…`, `_INBOX…`) are nobody's to publish to, whatever a manifest says;
 *     a wildcard that could reach them is refused as well. Listening to events (`cim.v1.evt.`) is allowed.
 * A3. What the manifest asks for lies within the instance's policy, or the bundle is refused with every excess named.
 * A4. A bundle older than the newest this node ran is refused unless the operator said `rollback`.
 */
import {
  Fault,
  type FieldIssue,
  LanguageGrant,
  type Limits,
  type Manifest,
  type Policy,
  policyIssues,
  renderBytes,
  renderCpu,
} from '@cim/contracts';
import type { Demand } from './limits.ts';
import { reserved } from './reserved.ts';

/** What workloads may ask for in all: bytes, thousandths of a core, living replicas. */
export interface Capacity {
  readonly memoryBytes: number;
  readonly milliCpu: number;
  readonly replicas: number;
}

/** What this instance is. */
export interface HostFacts {
  /** Declared and detected. */
  readonly capabilities: readonly string[];
  readonly gpu: boolean;
  /** Parts of the language a manifest may ask for here. Default: none. */
  readonly language?: readonly LanguageGrant[];
}

export interface Candidate {
  readonly manifest: Manifest;
  readonly demand: Demand;
  readonly replicas: number;
  /** What its cell would enforce. */
  readonly limits: Pick<Limits, 'memoryBytes' | 'milliCpu' | 'storageBytes'>;
  /** Whose signature it carries, by the name under trust.publishers. */
  readonly publisher: string;
  readonly sequence: number;
  /** Highest sequence of this name and publisher that ever ran here; 0 for none. */
  readonly floor: number;
  readonly rollback: boolean;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly reasons: readonly string[] }
  | { readonly kind: 'refused'; readonly fault: Fault };

/** The newest manifest format this node keeps to the letter. */
const API = 1;

/** Judges a candidate against the whole instance; what is left right now is the planner's question. */
export function admit(candidate: Candidate, host: HostFacts, capacity: Capacity, policy: Policy = {}): Admission {
  const { manifest, demand } = candidate;
  const refused = (
    code: 'requirement-unmet' | 'policy-refused' | 'sequence-rollback' | 'resources-exhausted',
    detail: string,
  ) => ({ kind: 'refused', fault: new Fault(code, detail) }) as const;
  const what = `${manifest.name}@${manifest.version}`;

  if (manifest.api !== API)
    return refused('requirement-unmet', `${what}: api: expected at most ${API}, found ${String(manifest.api)}`);

  const hasGpu = host.gpu || host.capabilities.includes('gpu');
  const offers = new Set([...host.capabilities, ...(hasGpu ? ['gpu'] : [])]);
  const lacking = manifest.requires.capabilities.filter((capability) => !offers.has(capability));
  if (lacking.length > 0) {
    const offered = [...offers].join(', ') || 'nothing';
    return refused(
      'requirement-unmet',
      `${what}: requires.capabilities: ${lacking.join(', ')} not offered here; this instance offers ${offered}`,
    );
  }
  if (wantsGpu(manifest) && !hasGpu) return refused('requirement-unmet', `${what}: requires a GPU; this instance has none`);

  const issues = [
    ...reservedSubjects(manifest),
    ...languageIssues(manifest, host.language ?? []),
    ...policyIssues({ manifest, ...candidate.limits, replicas: candidate.replicas }, policy, candidate.publisher),
  ];
  if (issues.length > 0) {
    const detail = `${what}: ${issues.map(({ path, message }) => `${path}: ${message}`).join('; ')}`;
    return { kind: 'refused', fault: new Fault('policy-refused', detail, { issues }) };
  }

  if (candidate.sequence < candidate.floor && !candidate.rollback) {
    return refused(
      'sequence-rollback',
      `${what}: sequence ${candidate.sequence} is older than ${candidate.floor}, which ran here; deploy with rollback to go back knowingly`,
    );
  }
  const short = shortOf(demand, candidate.replicas, { memoryBytes: 0, milliCpu: 0, replicas: 0 }, capacity);
  if (short !== undefined) return refused('resources-exhausted', `${what}: ${short}`);

  const reasons = [`sequence ${candidate.sequence} (floor ${candidate.floor})`];
  if (candidate.sequence < candidate.floor) reasons.push('older than the floor, allowed by rollback');
  if (manifest.requires.capabilities.length > 0) reasons.push(`offers ${manifest.requires.capabilities.join(', ')}`);
  return { kind: 'admitted', reasons };
}

const wantsGpu = ({ requires, resources }: Manifest): boolean =>
  requires.gpu || (resources.gpu !== undefined && !['', '0', 0].includes(resources.gpu));

/**
 * Why `count` more replicas do not fit, or undefined when they do.
 * @param used what is set aside already
 */
export function shortOf(demand: Demand, count: number, used: Capacity, capacity: Capacity): string | undefined {
  const lines: string[] = [];
  const check = (what: string, asked: number, taken: number, all: number, render: (n: number) => string) => {
    if (asked > 0 && taken + asked > all)
      lines.push(`${what}: asks for ${render(asked)}, ${render(Math.max(all - taken, 0))} of ${render(all)} left`);
  };
  check('memory', demand.memoryBytes * count, used.memoryBytes, capacity.memoryBytes, renderBytes);
  check('cpu', demand.milliCpu * count, used.milliCpu, capacity.milliCpu, renderCpu);
  check('replicas', count, used.replicas, capacity.replicas, String);
  return lines.length === 0 ? undefined : lines.join('; ');
}

function languageIssues({ grants }: Manifest, allowed: readonly LanguageGrant[]): FieldIssue[] {
  return LanguageGrant.options
    .filter((part) => grants[part] === true && !allowed.includes(part))
    .map((part) => ({
      path: `grants.${part}`,
      message: `not allowed on this instance; sandbox.allow would have to name "${part}"`,
    }));
}

function reservedSubjects({ grants, subscribe }: Manifest): FieldIssue[] {
  const issues: FieldIssue[] = [];
  const check = (field: string, patterns: readonly string[], listens: boolean) => {
    patterns.forEach((pattern, index) => {
      const why = reserved(pattern, listens);
      if (why !== undefined) issues.push({ path: `${field}[${index}]`, message: `"${pattern}" ${why}` });
    });
  };
  check('grants.publish', grants.publish, false);
  check('grants.subscribe', grants.subscribe, true);
  check('subscribe', subscribe, true);
  return issues;
}
