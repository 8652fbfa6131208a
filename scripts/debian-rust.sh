#!/usr/bin/env bash
# For machines where rustup reaches no server: Debian's Rust, with the standard library for the target of
# the stock plugins (wasm32-unknown-unknown) built from Debian's sources of it. Then:
#
#   RUSTUP_TOOLCHAIN=debian make demo        (where rustup is there)
#   PATH=/usr/bin:$PATH make demo            (where it is not)
set -euo pipefail
source "$(dirname "$0")/common.sh"
[ "$(id -u)" = 0 ] || die "this installs Debian packages: run it as root"
export DEBIAN_FRONTEND=noninteractive

target=wasm32-unknown-unknown
apt-get update -qq </dev/null
apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src rust-web-clippy lld-19 </dev/null

sysroot="$(/usr/bin/rustc --print sysroot)"
place="$sysroot/lib/rustlib/$target/lib"
if ! compgen -G "$place/libstd-*.rlib" >/dev/null; then
  work="$(mktemp -d)"
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/src"
  printf '[package]\nname = "flitch-std"\nversion = "0.0.0"\nedition = "2021"\n' >"$work/Cargo.toml"
  printf '#![no_std]\n' >"$work/src/lib.rs"
  # -Zbuild-std is cargo's own way to build the standard library; only nightly has it without this variable.
  (cd "$work" && RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc /usr/bin/cargo build --release --target "$target" \
    -Zbuild-std=std,panic_abort,panic_unwind </dev/null)
  mkdir -p "$place"
  cp "$work/target/$target/release/deps/"*.rlib "$place/"
  rm -f "$place"/libflitch_std-*.rlib
fi
# What links a stock plugin into a component. Rust's own packages have it, Debian's do not.
have wasm-ld || ln -s "$(command -v wasm-ld-19)" /usr/local/bin/wasm-ld
have wasm-component-ld ||
  RUSTC=/usr/bin/rustc /usr/bin/cargo install --quiet --locked --root /usr/local wasm-component-ld@0.5.31 </dev/null

if have rustup; then
  rustup toolchain link debian "$(dirname "$(dirname /usr/bin/rustc)")"
fi
say "ready: RUSTUP_TOOLCHAIN=debian make demo"
