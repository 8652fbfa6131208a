// The conformance guest of the JavaScript SDK. It does what its settings say, step by step, so that the cases under
// `wit/cases/batches` can hold it to the contract; `wit/cases/README.md` has the steps.

import { Reject, Timestamp, host, recordFilter, settings, stateOf, utf8 } from 'flitch-sdk';

const Settings = settings.object({
  // The fields that it asks for; all of them if there are none.
  fields: settings.list(settings.text()).or(undefined),
  // It refuses these settings, and says this.
  refuse: settings.text().or(undefined),
  // What it does with each record.
  steps: settings.exact().or(() => []),
});

let misanswers = false;

const guest = recordFilter(Settings, ({ fields, refuse, steps }) => {
  if (refuse !== undefined) throw new Reject(refuse);
  misanswers = false;
  let number = 0;
  return {
    fields,
    apply(record) {
      for (const step of steps) {
        if (step.if !== undefined && !record.has(step.if)) continue;
        if (step.do === 'number') record.set(step.to, ++number);
        else DO[step.do](step, record);
      }
    },
    save: () => `1 ${number}`,
    restore(saved) {
      const [version, counted] = utf8.decode(saved).split(' ');
      if (version !== '1') throw new Error('its format is not known');
      number += Number(counted);
    },
  };
});

const DO = {
  drop: (step, record) => record.discard(),
  reject: (step, record) => record.reject(step.reason),
  set: (step, record) => record.set(step.field, step.value),
  set_time: (step, record) => record.set(step.field, new Timestamp(step.ns)),
  set_bytes: (step, record) => record.set(step.field, Uint8Array.from(step.bytes)),
  copy(step, record) {
    const value = record.exact(step.from);
    if (value !== undefined) record.set(step.to, value);
  },
  remove: (step, record) => record.remove(step.field),
  split(step, record) {
    const items = record.json(step.field);
    if (!Array.isArray(items)) throw new Reject(`${step.field} is no array`);
    for (const item of record.split(items)) record.set(step.to, item);
  },
  log: (step) => host[step.level](step.message),
  count: (step) => host.count(step.counter, typeof step.by === 'object' ? BigInt(step.by.text) : step.by),
  lookup(step, record) {
    const found = host.lookup(step.table, [record.needText(step.key)], step.want);
    for (const name of step.want) if (found[name][0] !== undefined) record.set(name, found[name][0]);
  },

  // What no filter should do, so that a test can see that the host survives it in this language.
  throw(step) {
    throw new Error(step.message);
  },
  trap() {
    misanswers = 'trap';
  },
  spin() {
    for (;;);
  },
  eat() {
    const hoard = [];
    for (;;) hoard.push(new Uint8Array(1 << 20).fill(1));
  },
  answer() {
    misanswers = 'row';
  },
};

export const filter = {
  configure: guest.configure,
  apply(batch) {
    const changes = guest.apply(batch);
    if (misanswers === 'row') changes.take = Uint32Array.of(batch.rows + 7);
    // Not of the contract at all: the engine's bindings end the instance.
    return misanswers === 'trap' ? { take: 'nothing' } : changes;
  },
};

export const state = stateOf(guest);
