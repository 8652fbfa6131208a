#!/usr/bin/env bash
# Builds the stock filter `vrl`, of some 300 crates, into target/stock/vrl.wasm, from where the binary takes it.
#
#   scripts/vrl.sh         builds it
#   scripts/vrl.sh check   holds it to clippy, and runs its native tests
#
# What was built, or found right, once is known in ~/.cache/flitch/plugins by a hash of all that it was made of, so that a
# second call, or a second checkout, does nothing.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"

kept="$FLITCH_CACHE/plugins"
hash="$({
  rustc --version
  find plugins/vrl/{src,zstd,Cargo.toml,Cargo.lock} model/{src,Cargo.toml} sdk/rust/{src,wit,Cargo.toml} -type f \
    -not -name tests.rs -not -path '*/target/*' | LC_ALL=C sort | xargs sha256sum
  # The crates of the workspace that it is made of have their own versions.
  sed -n '/^\[workspace/,/^\[profile/p' Cargo.toml
} | sha256sum | cut -c 1-16)"
mkdir -p "$kept"
if [ "${1:-build}" = check ]; then
  hash="$({
    echo "$hash"
    find plugins/vrl/{src/tests.rs,cases} clippy.toml -type f | LC_ALL=C sort | xargs sha256sum
  } | sha256sum | cut -c 1-16)"
  checked="$kept/vrl-checked-$hash"
  if [ ! -f "$checked" ]; then
    say "checking the filter vrl (some minutes the first time)"
    # Without what only a debugger reads: it is half of what is written.
    export CARGO_PROFILE_DEV_DEBUG=false CARGO_INCREMENTAL=0
    nice cargo clippy --quiet --locked --all-targets --manifest-path plugins/vrl/Cargo.toml --target-dir "$kept/target" \
      -- -D warnings >&2
    nice cargo test --quiet --locked --manifest-path plugins/vrl/Cargo.toml --target-dir "$kept/target" >&2
    touch "$checked"
  fi
  exit
fi
component="$kept/vrl-$hash.wasm"

if [ ! -f "$component" ]; then
  say "building the filter vrl (some minutes the first time)"
  RUSTFLAGS="-C target-feature=+simd128,+bulk-memory" nice cargo build --quiet --locked --release --lib --target wasm32-wasip2 \
    --manifest-path plugins/vrl/Cargo.toml --target-dir "$kept/target" >&2
  cp "$kept/target/wasm32-wasip2/release/flitch_plugin_vrl.wasm" "$component.$$"
  mv "$component.$$" "$component"
fi
mkdir -p target/stock
cp "$component" "target/stock/.vrl.$$"
cmp -s "target/stock/.vrl.$$" target/stock/vrl.wasm || mv "target/stock/.vrl.$$" target/stock/vrl.wasm
rm -f "target/stock/.vrl.$$"
