// The two kinds of a filter, and what runs them behind the contract.

import { Batch, Changes } from './columns.js';
import { Record, Reject } from './record.js';
import { Wrong, parse } from './settings.js';
import { wellFormed } from './utf8.js';

/** What is said about an exception: its message, with its name and place if it was not thrown on purpose. */
function reasonOf(wrong) {
  if (!(wrong instanceof Error)) return wellFormed(String(wrong));
  if (isLackOfMemory(wrong)) throw wrong;
  const plain = wrong instanceof Reject || wrong instanceof Wrong || wrong.constructor === Error || wrong instanceof RangeError;
  return wellFormed(plain && wrong.message !== '' ? wrong.message : String(wrong));
}

/** Lack of memory says nothing about the record that met it. */
const isLackOfMemory = (wrong) => wrong instanceof Error && wrong.name === 'InternalError' && /memory/.test(wrong.message);

/** The exports of the contract for a filter. */
function exported(settings, make, run) {
  let filter;
  return {
    configure(text) {
      try {
        const made = make(parse(text, settings));
        filter = { ...made, apply: made.apply.bind(made) };
        return made.fields === undefined ? { tag: 'all' } : { tag: 'only', val: [...made.fields] };
      } catch (wrong) {
        // A string is what the engine hands over as it stands.
        throw isLackOfMemory(wrong) ? wrong.message : reasonOf(wrong);
      }
    },

    apply(raw) {
      try {
        return run(filter, new Batch(raw)).finish();
      } catch (wrong) {
        // An answer that is none ends the instance: the host goes on with a new one, and finds the record that it was.
        if (isLackOfMemory(wrong)) return undefined;
        throw reasonOf(wrong);
      }
    },
  };
}

/**
 * A filter that sees one record at a time. The comfortable way.
 *
 * `make(settings)` answers `fields`, those that the filter wants to see (all of them without it), and `apply(record)`; an
 * exception from `apply` rejects the record, with its message as the reason. One from `make` refuses the configuration.
 */
export const recordFilter = (settings, make) =>
  exported(settings, make, (filter, batch) => {
    const record = new Record(batch);
    for (let row = 0; row < batch.rows; row++) record.run(row, filter.apply, reasonOf);
    return record.finish();
  });

/**
 * A filter that sees whole columns. The fast way.
 *
 * `apply(batch, changes)` rejects single records by `changes.reject`; an exception rejects the batch as a whole.
 */
export const columnFilter = (settings, make) =>
  exported(settings, make, (filter, batch) => {
    const changes = new Changes(batch.rows);
    filter.apply(batch, changes);
    return changes;
  });
