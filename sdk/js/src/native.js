// The host outside a component: it keeps what a filter says, and holds tables for it.

/** What was logged and counted, and the rows of the tables by their keys. */
export const kept = { lines: [], counters: {}, tables: {}, columnsOf: undefined };

export const native = {
  log(level, message) {
    kept.lines.push([level, message]);
  },

  count(counter, delta) {
    kept.counters[counter] = BigInt(kept.counters[counter] ?? 0) + BigInt(delta);
  },

  lookup(table, keys, want) {
    const rows = kept.tables[table];
    if (rows === undefined) throw new Error(`no table is named \`${table}\``);
    return kept.columnsOf(rows, keys, want);
  },
};
