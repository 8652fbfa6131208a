#!/usr/bin/env bash
# Runs every test of the workspace and ends with one line: `N passed, N failed, N skipped`.
# Words given on the command line go to cargo test, e.g. `scripts/test.sh -p flitch-tests kafka`.
#
# A test that cannot run on a machine prints `SKIPPED: name: reason` and counts as skipped; with
# FLITCH_NO_SKIPS=1 (as .ci/run sets it) that fails the run.
#
# With FLITCH_AGAIN=1 (likewise) up to three tests of whole daemons that failed beside others run again, alone. One that
# passes then prints `FLAKY: name`, so that it is mended, and a busy machine does not hold up all else.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"

log="$(mktemp)"
trap 'rm -f "$log"' EXIT

# Tests of whole daemons wait for servers and clocks more than they compute.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$(($(nproc) + 1))}"

[ "$#" -gt 0 ] || set -- --workspace
status=0
cargo test --no-fail-fast "$@" 2>&1 | tee "$log" || status=$?

# libtest prints `test result: ok. 12 passed; 0 failed; 1 ignored; …` for each test binary.
sum() { sed -nE "s/^test result: .*[^0-9]([0-9]+) $1;.*/\1/p" "$log" | awk '{ n += $1 } END { print n + 0 }'; }
marked="$(grep -c 'SKIPPED: ' "$log" || true)"
passed=$(($(sum passed) - marked))
failed="$(sum failed)"

# Those of the binary `e2e` that failed, where nothing else did.
flaky=0
lost="$(awk '/^ *Running / { e2e = /\/e2e-/ } e2e && /^test .* \.\.\. FAILED$/ { print $2 }' "$log")"
if [ "${FLITCH_AGAIN:-0}" = 1 ] && [ -n "$lost" ] && [ "$failed" -le 3 ] && [ "$(wc -l <<<"$lost")" = "$failed" ] &&
  grep -q '^error: 1 target failed' "$log"; then
  say "failed beside others, and runs again alone: ${lost//$'\n'/, }"
  # shellcheck disable=SC2086 # one word for each test
  if cargo test --workspace --test e2e -- --exact --test-threads 1 $lost; then
    sed 's/^/FLAKY: /' <<<"$lost"
    flaky="$failed" passed=$((passed + failed)) failed=0 status=0
  fi
fi
skipped=$(($(sum ignored) + marked))

grep -hoE 'SKIPPED: .*' "$log" || true
if [ "$status" != 0 ] && [ "$failed" = 0 ]; then
  echo "flitch: cargo test failed before or between tests (see above)"
fi
if [ "$skipped" != 0 ] && [ "${FLITCH_NO_SKIPS:-0}" = 1 ]; then
  echo "flitch: no test may be skipped here"
  status=1
fi
if [ "$passed" -le 0 ]; then status=1; fi
[ "$flaky" = 0 ] || echo "flitch: $flaky failed beside others and passed alone (FLAKY above): each is to be mended"
echo "$passed passed, $failed failed, $skipped skipped"
exit "$status"
