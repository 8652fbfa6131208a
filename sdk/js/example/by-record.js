// The example, a record at a time.

import { Reject, host, recordFilter } from 'flitch-sdk';

import { NO_PAIR, Settings, pathOf } from './pairs.js';

export const filter = recordFilter(Settings, ({ field, table }) => ({
  fields: [field],

  apply(record) {
    const pairs = new Map();
    for (const word of record.needText(field).split(' ')) {
      const at = word.indexOf('=');
      const name = at > 0 ? pathOf(word.slice(0, at)) : undefined;
      if (name !== undefined) pairs.set(name, word.slice(at + 1));
    }
    if (pairs.size === 0) throw new Reject(NO_PAIR);
    if (pairs.get('level') === 'DEBUG') return record.discard();
    for (const [name, value] of pairs) record.set(name, value);
    const [owner] = host.lookup(table, [pairs.get('service')], ['owner']).owner;
    if (owner !== undefined) record.set('owner', owner);
  },
}));
