// The names of fields: `kubernetes.labels.app` is the member `app` of `labels` of `kubernetes`. A dot inside a name is
// written `\.`, a backslash `\\`, and a lone surrogate, which JSON allows and UTF-8 does not, `\ud800`.

import { LONE } from './utf8.js';

const PIECE = /\\([.\\])|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|[^\\]+|\\/g;

/** Most UTF-16 units of a path; the host takes 16 KiB of UTF-8. */
const MAX_UNITS = 16 << 10;
/** Most names of a path. */
const MAX_DEPTH = 64;

const hex4 = (unit) => '\\u' + unit.charCodeAt(0).toString(16).padStart(4, '0');

/** The names of the host: the time, the tag, and what a record has past the names that have columns. */
export const RESERVED = ['@timestamp', '@tag', '@rest'];

/** One name as it stands in a path. */
export function escape(name) {
  if (!/[.\\\ud800-\udfff]/.test(name)) return name;
  return name.replace(/[.\\]/g, '\\$&').replace(LONE, hex4);
}

/** The path of these names, from the outermost. */
export const join = (names) => names.map(escape).join('.');

/** The path of a member of the object at `path`, which is empty for the record itself. */
export const push = (path, name) => (path === '' ? escape(name) : `${path}.${escape(name)}`);

/** Where each name of a path ends. */
function ends(path) {
  const found = [];
  for (let at = 0; at < path.length; at++) {
    if (path[at] === '\\') at++;
    else if (path[at] === '.') found.push(at);
  }
  found.push(path.length);
  return found;
}

function escaped(path) {
  if (!path.includes('\\')) return path.split('.');
  let start = 0;
  return ends(path).map((end) => {
    const name = path.slice(start, end);
    start = end + 1;
    return name;
  });
}

function unescape(name, surrogate) {
  if (!name.includes('\\')) return name;
  return name.replace(PIECE, (whole, plain, hex) =>
    hex !== undefined ? surrogate ?? String.fromCharCode(parseInt(hex.slice(1), 16)) : plain ?? whole);
}

/** The names along a path, from the outermost. A lone surrogate becomes U+FFFD. */
export const split = (path) => escaped(path).map((name) => unescape(name, '\ufffd'));

/** The names along a path, from the outermost, as a member of a JSON object has them. */
export const names = (path) => escaped(path).map((name) => unescape(name));

/** The one form of a path that the host takes: each backslash begins an escape. */
export function canonical(path) {
  if (!path.includes('\\')) return path;
  return escaped(path).map((name) => escape(unescape(name))).join('.');
}

/** The paths above a path, from the outermost. */
export const above = (path) => ends(path).slice(0, -1).map((end) => path.slice(0, end));

/** A path and those above it, from the innermost. */
export const andAbove = (path) => [path, ...above(path).reverse()];

/** Whether the path `inner` lies below `outer`, at any depth: `a.b` below `a`. */
export const isBelow = (inner, outer) => inner[outer.length] === '.' && inner.startsWith(outer);

/** Whether one of two paths is, or lies below, the other. */
export const overlap = (a, b) => a === b || isBelow(a, b) || isBelow(b, a);

/** Two of these paths that overlap, the earlier one first. */
export function contradiction(paths) {
  for (let later = 0; later < paths.length; later++) {
    for (let earlier = 0; earlier < later; earlier++) {
      if (overlap(paths[earlier], paths[later])) return [paths[earlier], paths[later]];
    }
  }
  return undefined;
}

/** The canonical form of a path that a field can be written to. Throws where the host would not take it. */
export function check(path) {
  path = canonical(path).replace(LONE, hex4);
  if (path.length > MAX_UNITS) throw new RangeError(`the path \`${path.slice(0, 100)}…\` is longer than ${MAX_UNITS}`);
  if (path.includes('.') && ends(path).length > MAX_DEPTH) {
    throw new RangeError(`the path \`${path.slice(0, 100)}…\` has more than ${MAX_DEPTH} names`);
  }
  if (path[0] === '@') {
    for (const reserved of RESERVED) {
      if (isBelow(path, reserved)) throw new RangeError(`\`${path}\` lies below a name of the host's`);
    }
  }
  return path;
}
