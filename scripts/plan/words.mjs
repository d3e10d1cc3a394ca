/**
 * The rules that no import shows: the clock, timers, chance and the process are globals. Reads the syntax tree of one file.
 * Pure: text in, findings out.
 */
import ts from 'typescript';
import { built, door, words } from './rules.mjs';

/** @typedef {{ rule: string, reason: string, file: string, line: number, what: string }} Finding */

/**
 * @param {string} file path from the top of the checkout, with `/`
 * @param {string} text
 * @returns {Finding[]}
 */
export function findWords(file, text) {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const rules = words.filter(
    ({ homes }) => /^packages\/[^/]+\/src\//.test(file) && !homes.some((home) => new RegExp(home).test(file)),
  );
  const declared = declaredNames(tree);
  /** @type {Finding[]} */
  const findings = [];
  const add = ({ name, reason }, node, what) => {
    findings.push({ rule: name, reason, file, line: tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1, what });
  };
  const visit = (node) => {
    const from = specifierOf(node);
    if (from !== undefined && /^\.\.?\/(.*\/)?dist(\/|$)/.test(from)) add(built, node, `import of ${from}`);
    for (const rule of rules) {
      const what = offence(rule, node, declared);
      if (what !== undefined) add(rule, node, what);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  if (/^packages\/[^/]+\/src\/index\.ts$/.test(file)) {
    for (const statement of tree.statements) {
      if (!(ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined))
        add(door, statement, statement.getText(tree).split('\n')[0]);
    }
  }
  return findings;
}

/** @returns {string | undefined} what stands there against the rule */
function offence(rule, node, declared) {
  const from = specifierOf(node);
  if (from !== undefined) return rule.modules?.includes(from) ? `import of ${from}` : undefined;
  if (ts.isNewExpression(node) && ts.isIdentifier(node.expression)) {
    const bare =
      (node.arguments?.length ?? 0) === 0 &&
      rule.bareNew?.includes(node.expression.text) &&
      !declared.has(node.expression.text);
    return bare ? `new ${node.expression.text}()` : undefined;
  }
  if (ts.isPropertyAccessExpression(node)) {
    const path = node
      .getText()
      .replace(/^globalThis\s*\??\.\s*/, '')
      .replace(/\s*\??\.\s*/g, '.');
    if (rule.members?.includes(path) && !declared.has(path.split('.')[0])) return path;
    const global =
      ts.isIdentifier(node.expression) && node.expression.text === 'globalThis' && rule.globals?.includes(node.name.text);
    return global ? `globalThis.${node.name.text}` : undefined;
  }
  if (ts.isIdentifier(node) && rule.globals?.includes(node.text) && isUse(node) && !declared.has(node.text)) return node.text;
  return undefined;
}

/** What an import, a re-export, an `import()` or an `import type` names; undefined for any other node. @returns {string | undefined} */
function specifierOf(node) {
  let named;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) named = node.moduleSpecifier;
  else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) named = node.arguments[0];
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) named = node.argument.literal;
  return named !== undefined && ts.isStringLiteral(named) ? named.text : undefined;
}

/** True where an identifier stands for a value: not the name of a member, a key, a type's part or a declaration. */
function isUse(node) {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) || ts.isQualifiedName(parent))
    return ts.isPropertyAccessExpression(parent) && parent.expression === node;
  if (ts.isTypeQueryNode(parent) || ts.isImportSpecifier(parent)) return false;
  if (ts.isBindingElement(parent)) return parent.initializer === node;
  const named = /** @type {{ name?: unknown }} */ (parent).name === node;
  return !(named && !ts.isShorthandPropertyAssignment(parent));
}

/** Every name the file declares or imports itself: such a name is not the global one. */
function declaredNames(tree) {
  const names = new Set();
  const visit = (node) => {
    const binds =
      ts.isVariableDeclaration(node) ||
      ts.isParameter(node) ||
      ts.isBindingElement(node) ||
      ts.isFunctionDeclaration(node) ||
      ts.isClassDeclaration(node) ||
      ts.isImportSpecifier(node) ||
      ts.isImportClause(node) ||
      ts.isNamespaceImport(node);
    if (binds && node.name !== undefined && ts.isIdentifier(node.name) && !inType(node)) names.add(node.name.text);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return names;
}

/** A parameter's name inside a type binds nothing. */
function inType(node) {
  return ts.isParameter(node) && (ts.isFunctionTypeNode(node.parent) || ts.isMethodSignature(node.parent));
}
