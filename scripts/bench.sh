#!/usr/bin/env bash
# Builds flitch for measuring (minutes, the first time) and prints its tables: what the stages cost by
# themselves, and whole pipelines. Words given go to the benches: a filter by name, for one.
# FLITCH_BENCH_RECORDS and FLITCH_BENCH_RUNS set the size of the pipelines.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"
exec cargo bench --workspace --bench '*' -- "$@"
