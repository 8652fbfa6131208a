// What both ways to write the example have in common.

import { path, settings } from 'flitch-sdk';

export const Settings = settings.object({
  // The field with the line, and the table of services.
  field: settings.text().or('message'),
  table: settings.text().or('services'),
});

export const NO_PAIR = 'the line has no key=value';

const KEY = /^[A-Za-z][A-Za-z0-9_.-]*$/;
const known = new Map();

/** The path of the field of a key, or undefined where it is no key. */
export function pathOf(key) {
  let found = known.get(key);
  if (found === undefined && !known.has(key)) {
    found = KEY.test(key) ? path.escape(key) : undefined;
    // Lines bring any number of words.
    if (known.size >= 1000) known.clear();
    known.set(key, found);
  }
  return found;
}
