#!/usr/bin/env bash
# Builds the binary that packages have, into target/packages/ARCH/flitch: it starts on every Linux whose glibc is 2.17 or
# later, with OpenSSL, zlib and zstd inside. Beside it, in `compiled`, the stock plugins as machine code, for images.
#
#   scripts/package-binary.sh amd64|arm64
#
# What was built once lies in ~/.cache/flitch/package-binaries under a hash of all that it was made of. `flitch version` tells
# the commit that changed one of these files last.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"
source "$(dirname "$0")/package-tools.sh"
cd "$root"

arch="${1:?usage: package-binary.sh amd64|arm64}"
machine="$(machine "$arch")"
glibc=2.17
made_of=(Cargo.toml Cargo.lock rust-toolchain.toml host model plugins sdk wit scripts/vrl.sh scripts/package-binary.sh)

need_for_packages
install_needed
tool zig
scripts/vrl.sh

FLITCH_COMMIT="$(git log -1 --abbrev=12 --format=%h -- "${made_of[@]}")"
SOURCE_DATE_EPOCH="$(git log -1 --format=%ct -- "${made_of[@]}")"
export FLITCH_COMMIT SOURCE_DATE_EPOCH
hash="$({
  rustc --version
  echo "$arch $glibc $zig_version $zigbuild_version $FLITCH_COMMIT"
  git ls-files -z -- "${made_of[@]}" | LC_ALL=C sort -z | xargs -0 sha256sum
} | sha256sum | cut -c 1-16)"
kept="$FLITCH_CACHE/package-binaries/$hash-$arch"

if [ ! -d "$kept" ]; then
  say "building the binary for $arch (some 20 minutes the first time)"
  if have rustup; then retry 3 rustup target add "$machine-unknown-linux-gnu" >&2; fi
  target="${FLITCH_PACKAGE_TARGET:-$root/target/package-build}"
  # librdkafka's configure knows one compiler only. Its version script names functions that this build has not.
  wrappers="$target/zig-$arch"
  mkdir -p "$wrappers"
  for kind in cc c++; do
    printf '#!/bin/sh\nexec "%s" %s -target %s-linux-gnu.%s "$@"\n' "$tools/zig/bin/python-zig" "$kind" "$machine" "$glibc" >"$wrappers/$kind"
    chmod 755 "$wrappers/$kind"
  done
  cargo_home="${CARGO_HOME:-$HOME/.cargo}"
  CARGO_ZIGBUILD_ZIG_PATH="$tools/zig/bin/python-zig" CC="$wrappers/cc" CXX="$wrappers/c++" HOST_CC=gcc HOST_CXX=g++ LDFLAGS=-Wl,--undefined-version \
    CARGO_TARGET_DIR="$target" \
    RUSTFLAGS="--remap-path-prefix=$root=/flitch --remap-path-prefix=$cargo_home=/cargo" \
    cargo zigbuild --quiet --locked --profile packaged --jobs 2 -p flitch --bin flitch --features static \
    --target "$machine-unknown-linux-gnu.$glibc" >&2
  rm -rf "$kept".*
  mkdir -p "$kept.$$/compiled"
  cp "$target/$machine-unknown-linux-gnu/packaged/flitch" "$kept.$$/flitch"
  run_for "$arch" "$kept.$$/flitch" plugin precompile "$kept.$$/compiled"
  mv -T "$kept.$$" "$kept"
fi
rm -rf "target/packages/$arch"
mkdir -p target/packages
cp -R "$kept" "target/packages/$arch"
