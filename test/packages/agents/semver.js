import semver from 'semver';
import { using } from '../using.js';

export default using(async () => {
  return {
    max: semver.maxSatisfying(['1.2.3', '1.9.0', '2.0.0-rc.1'], '^1.2'),
    range: semver.validRange('>=1 <2 || 3.x'),
    next: semver.inc('1.2.3', 'prerelease', 'beta'),
    sorted: semver.sort(['1.10.0', '1.9.0', '1.9.0-a']),
    clean: semver.coerce('v2.1-foo').version,
  };
});
