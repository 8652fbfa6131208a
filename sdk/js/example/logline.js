// The example of every SDK, in JavaScript: see ../../example/README.md. by-record.js says the same with less speed.

import { Rows, columnFilter, host } from 'flitch-sdk';

import { NO_PAIR, Settings, pathOf } from './pairs.js';

export const filter = columnFilter(Settings, ({ field, table }) => ({
  fields: [field],

  apply(batch, changes) {
    const taken = [];
    const services = [];
    const rows = new Rows();
    batch.values(field).forEach((line, row) => {
      if (typeof line !== 'string') {
        return changes.reject(row, `the field \`${field}\` is ${line === undefined ? 'missing' : 'not text'}`);
      }
      let level;
      let service;
      const pairs = [];
      for (const word of line.split(' ')) {
        const at = word.indexOf('=');
        const name = at > 0 ? pathOf(word.slice(0, at)) : undefined;
        if (name === undefined) continue;
        const value = word.slice(at + 1);
        if (name === 'level') level = value;
        else if (name === 'service') service = value;
        pairs.push(name, value);
      }
      if (pairs.length === 0) return changes.reject(row, NO_PAIR);
      if (level === 'DEBUG') return;
      taken.push(row);
      services.push(service);
      rows.next();
      // Of two pairs with one key the last one stays.
      for (let pair = 0; pair < pairs.length; pair += 2) rows.put(pairs[pair], pairs[pair + 1]);
    });
    const owners = rows.column('owner');
    host.lookup(table, services, ['owner']).owner.forEach((owner, row) => {
      if (owner !== undefined) owners[row] = owner;
    });
    changes.take(taken);
    changes.write(rows);
  },
}));
