// Adds the domain of an e-mail address, and drops what comes from some of them.

import { Reject, recordFilter, settings } from 'flitch-sdk';

// What stands under `settings` in the configuration.
const Settings = settings.object({
  // The field that holds the address.
  field: settings.text(),
  // Domains whose records are dropped.
  drop: settings.list(settings.text()).or([]),
});

export const filter = recordFilter(Settings, ({ field, drop }) => ({
  fields: [field],

  apply(record) {
    const address = record.needText(field);
    const at = address.lastIndexOf('@');
    if (at < 0) throw new Reject(`“${address}” is no address`);
    const domain = address.slice(at + 1).toLowerCase();
    if (drop.includes(domain)) return record.discard();
    record.set('user_email_domain', domain);
  },
}));
