/**
 * Which nats-server will do. Two floors: below the first CIM does not run; below the second it runs, but a hub does not judge what a leaf
 * sends, so a stolen leaf credential may send anything in the account. The second is `leafLimitsKept` of packages/contracts, said again
 * because this is read before anything is built; scripts/test/server-version.test.mjs fails when the two differ.
 */

/** The oldest version with the features CIM stands on, as [major, minor]. */
export const FLOOR = [2, 10];
/** From which patch on a minor version keeps leaves to their limits; 2.14 and newer all do. */
const KEPT = { 2.11: 16, 2.12: 7 };
const KEPT_FROM = [2, 14];
/** The second floor in words. */
export const KEPT_WORDS = '2.11.16, 2.12.7, 2.14.0';

/**
 * @param {string} output what `nats-server --version` says
 * @returns {{ version: string, fit: boolean, keeps: boolean } | undefined} undefined when no version stands in it;
 *   `fit`: CIM runs on it; `keeps`: as a hub it keeps leaves to their limits
 */
export function judgeVersion(output) {
  const found = /v?((\d+)\.(\d+)\.(\d+)(?:-[\w.]+)?)/.exec(output);
  if (found === null) return undefined;
  const [, version, major, minor, patch] = found;
  const from = ([least, then]) => Number(major) > least || (Number(major) === least && Number(minor) >= then);
  const since = KEPT[`${major}.${minor}`];
  return {
    version,
    fit: from(FLOOR),
    keeps: from(KEPT_FROM) || (since !== undefined && Number(patch) >= since),
  };
}
