#!/usr/bin/env bash
# `make fuzz`: libFuzzer with coverage over flitch's own code, on the stable compiler. See fuzz/README.md.
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_EACH=${FUZZ_SECONDS:-120}
TARGETS=${FUZZ_TARGETS:-answers files forward json otlp yaml}
CASE=${FUZZ_CASE:-}
WORK=target/fuzz

# What is built for flitch's own tests is used again, in the same versions; only flitch itself is built once more.
cp Cargo.lock fuzz/Cargo.lock
RUSTC_WRAPPER="$PWD/fuzz/rustc.sh" ${CARGO:-cargo} build -q --manifest-path fuzz/Cargo.toml --target-dir target
BINARY=$PWD/target/debug/flitch-fuzz

# Files and dead letters of the cases go to memory where there is such a place.
scratch=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm || echo /tmp)" flitch-fuzz.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch

if [ -n "$CASE" ]; then
  for target in $TARGETS; do
    RUST_BACKTRACE=1 FUZZ_TARGET=$target "$BINARY" "$CASE"
  done
  exit
fi

broken=0
for target in $TARGETS; do
  mkdir -p "$WORK/$target" "$WORK/crashes"
  echo "flitch: fuzzing $target for $SECONDS_EACH s"
  log=$WORK/$target.log
  if FUZZ_TARGET=$target "$BINARY" "$WORK/$target" "fuzz/corpus/$target" \
    -max_total_time="$SECONDS_EACH" -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
    -artifact_prefix="$WORK/crashes/$target-" -print_final_stats=1 >"$log" 2>&1; then
    runs=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")
    edges=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | tr -dc 0-9)
    echo "  $runs runs, $edges edges, $(find "$WORK/$target" -type f | wc -l) cases kept in $WORK/$target"
  else
    broken=1
    grep -v '^#' "$log" | tail -30
    case=$(grep -o 'Test unit written to .*' "$log" | tail -1 | sed 's/Test unit written to //')
    echo "  $target broke. Run it again:   make fuzz FUZZ_TARGETS=$target FUZZ_CASE=$case"
    echo "  Once it is mended, keep it:    cp $case fuzz/corpus/$target/"
  fi
done
exit $broken
