#!/usr/bin/env bash
# Builds the example of every SDK, measures it, and writes the table of sdk/README.md.
#
#   scripts/bench-sdk.sh            both
#   scripts/bench-sdk.sh build      builds flitch for release, where FLITCH names no binary, and the examples
#   scripts/bench-sdk.sh measure    measures what was built
#
# FLITCH is the flitch that measures; of a debug build the host's part of the times is wrong. BENCH_ROUNDS (3) is how often
# each is measured: the best counts, for what else the machine does only makes it slower.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"

out="$root/target/sdk"
flitch="${FLITCH:-$root/target/release/flitch}"
languages=(rust c go python js)
PATH="$FLITCH_CACHE/sdk/bin:$PATH"

# A folder of `flitch plugin build`, which packs what a compiler has made.
workshop() {
  rm -rf "$out/$1"
  mkdir -p "$out/$1"
}

build_rust() {
  cargo build --quiet --lib --profile plugin --target wasm32-wasip2 --package flitch-example-pairs --target-dir "$out/cargo"
  cp "$out/cargo/wasm32-wasip2/plugin/flitch_example_pairs.wasm" "$out/rust-example.wasm"
}
build_c() {
  workshop c
  printf 'all:\n\t$(MAKE) --silent -C %s/sdk/c build/example.core.wasm\n\tcp %s/sdk/c/build/example.core.wasm build/\n' "$root" "$root" \
    >"$out/c/Makefile"
  "$flitch" plugin build "$out/c" >&2
  mv "$out/c/c.wasm" "$out/c-example.wasm"
}
build_go() {
  workshop go
  cp sdk/go/example/filter.go "$out/go/"
  printf 'module example\n\ngo 1.24\n\nrequire flitch.dev/flitch v0.0.0\n\nreplace flitch.dev/flitch => %s/sdk/go\n' "$root" \
    >"$out/go/go.mod"
  "$flitch" plugin build "$out/go" >&2
  mv "$out/go/go.wasm" "$out/go-example.wasm"
}
build_python() { scripts/sdk.sh build python >&2; }
build_js() { scripts/sdk.sh build js >&2; }

build() {
  [ -n "${FLITCH:-}" ] || cargo build --release -p flitch --bin flitch
  for language in "${languages[@]}"; do
    scripts/setup-sdk.sh "$language" >&2
    say "building the example in $language"
    "build_$language"
  done
}

# What a component was made with, as its toolchain says it.
toolchain_rust() { rustc --version | cut -d ' ' -f 1,2; }
toolchain_c() { clang-19 --version | sed -n '1s/.*\(clang\) version \([0-9.]*\).*/\1 \2/p'; }
toolchain_go() { go env GOVERSION | sed 's/^go/Go /'; }
toolchain_python() { sed -n 's/^componentize_py=.*==\([0-9.]*\).*/componentize-py \1/p' scripts/setup-sdk.sh; }
toolchain_js() { sed -n 's/.*componentize-qjs@\([0-9.]*\).*/componentize-qjs \1/p' scripts/setup-sdk.sh | head -1; }

measure() {
  local language results round
  results="$(mktemp -d)"
  for language in "${languages[@]}"; do
    "toolchain_$language" >"$results/$language.toolchain"
    for ((round = 0; round < ${BENCH_ROUNDS:-3}; round++)); do
      "$flitch" plugin bench "$out/$language-example.wasm" --cases sdk/example/cases --case lines_of_services --json \
        >>"$results/$language.ndjson"
    done
  done
  python3 scripts/bench-sdk.py "$results" sdk/README.md
  rm -r "$results"
}

case "${1:-both}" in
  build) build ;;
  measure) measure ;;
  both) build && measure ;;
  *) die "usage: bench-sdk.sh [build|measure]" ;;
esac
