#!/usr/bin/env bash
# Builds the stock filter `vrl`, of some 300 crates, into target/stock/vrl.wasm, from where the binary takes it.
#
# What was built once lies in ~/.cache/flitch/plugins under a hash of all that it was made of, so that a second call, or a
# second checkout, builds nothing.
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
component="$kept/vrl-$hash.wasm"

if [ ! -f "$component" ]; then
  say "building the filter vrl (some minutes the first time)"
  mkdir -p "$kept"
  RUSTFLAGS="-C target-feature=+simd128,+bulk-memory" nice cargo build --quiet --locked --release \
    --target wasm32-wasip2 --manifest-path plugins/vrl/Cargo.toml --target-dir "$kept/target" >&2
  cp "$kept/target/wasm32-wasip2/release/flitch_plugin_vrl.wasm" "$component.$$"
  mv "$component.$$" "$component"
fi
mkdir -p target/stock
cp "$component" "target/stock/.vrl.$$"
cmp -s "target/stock/.vrl.$$" target/stock/vrl.wasm || mv "target/stock/.vrl.$$" target/stock/vrl.wasm
rm -f "target/stock/.vrl.$$"
