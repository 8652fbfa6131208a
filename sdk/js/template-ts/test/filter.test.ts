// Run it with `npm test`; nothing of WebAssembly is needed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tester, runCases } from 'flitch-sdk/testing';

import { filter } from '../src/filter.ts';

test('the domain is added, and some are dropped', () => {
  const outcome = new Tester(filter, { field: 'email', drop: ['spam.example'] }).run([
    { email: 'someone@Hotmail.com', n: 1 },
    { email: 'x@spam.example' },
    { email: 'nobody' },
  ]);
  assert.deepEqual(outcome.records, [{ email: 'someone@Hotmail.com', n: 1, user_email_domain: 'hotmail.com' }]);
  assert.deepEqual(outcome.rejected, [[2, '“nobody” is no address']]);
});

test('the cases', () => {
  runCases('cases', filter);
});
