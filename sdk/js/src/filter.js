// The two kinds of a filter, and what runs them behind the contract.

import { Batch, Changes } from './columns.js';
import { Record, Reject } from './record.js';
import { Wrong, parse } from './settings.js';
import { encode, wellFormed } from './utf8.js';

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
  const made = {
    configure(text) {
      try {
        filter = make(parse(text, settings));
        return filter.fields === undefined ? { tag: 'all' } : { tag: 'only', val: [...filter.fields] };
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
  states.set(made, {
    save() {
      const saved = filter.save();
      return typeof saved === 'string' ? encode(wellFormed(saved)) : saved;
    },

    restore(saved) {
      try {
        filter.restore(saved);
      } catch (wrong) {
        throw isLackOfMemory(wrong) ? wrong.message : reasonOf(wrong);
      }
    },
  });
  return made;
}

/** The state of each filter. */
const states = new WeakMap();

/**
 * The state of a filter whose `make` answers `save` and `restore` too: `export const state = stateOf(filter)`.
 *
 * `save()` answers what the instance remembers, bytes or a text; an exception from it ends the instance. `restore(saved)` adds
 * what was saved once, as bytes, to what it remembers: once for each instance that there was, which may be several. Another
 * version may have saved it, so put the number of its format in front. An exception from `restore` is shown to the operator, and
 * the filter begins empty.
 */
export const stateOf = (filter) => states.get(filter);

/**
 * A filter that sees one record at a time. The comfortable way.
 *
 * `make(settings)` answers `fields`, those that the filter wants to see (all of them without it), and `apply(record)`; an
 * exception from `apply` rejects the record, with its message as the reason. One from `make` refuses the configuration.
 */
export const recordFilter = (settings, make) =>
  exported(settings, make, (filter, batch) => {
    const record = new Record(batch, filter.fields === undefined);
    const apply = filter.apply.bind(filter);
    for (let row = 0; row < batch.rows; row++) record.run(row, apply, reasonOf);
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
