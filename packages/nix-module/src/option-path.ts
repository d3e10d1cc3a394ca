/** Option paths as people write them: dots part, quotes keep a name with a dot together. */
import { Fault } from '@cim/contracts';

/** `a."b.c".d` as its three names. @throws Fault `invalid-input` for an empty name or an open quote */
export function optionPath(path: string): string[] {
  const names: string[] = [];
  const pattern = /"((?:[^"\\]|\\.)*)"|([^".]+)/y;
  for (let at = 0; ; ) {
    pattern.lastIndex = at;
    const match = pattern.exec(path);
    if (match === null) throw new Fault('invalid-input', `${path}: expected an option path such as cim.instance.id`);
    names.push(match[2] ?? match[1]!.replaceAll(/\\(.)/g, '$1'));
    at = pattern.lastIndex;
    if (at === path.length) return names;
    if (path[at] !== '.') throw new Fault('invalid-input', `${path}: expected "." after ${names.join('.')}`);
    at++;
  }
}
