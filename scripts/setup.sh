#!/usr/bin/env bash
# Installs what is missing to build and to test flitch, and nothing that is there.
#
#   scripts/setup.sh build    what `make demo` needs: a C toolchain, OpenSSL's headers, Rust and its WASM targets
#   scripts/setup.sh test     the above, and what the tests run: nginx, logrotate, dockerd, Java for Kafka, clang and Go for guests
#
# Debian packages are installed when this runs as root or sudo asks for no password; otherwise the
# command to run is printed. Safe to run again: with everything in place it takes a second.
set -euo pipefail
source "$(dirname "$0")/common.sh"

stage="${1:-test}"
case "$stage" in build | test) ;; *) die "usage: setup.sh build|test" ;; esac

source "$(dirname "$0")/packages.sh"

# --- Debian packages -----------------------------------------------------------------------------

need build-essential sh -c 'command -v gcc && command -v g++ && command -v make'
need pkg-config have pkg-config
need libssl-dev header openssl/ssl.h
need zlib1g-dev header zlib.h
need perl have perl
need git have git
need curl have curl
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt

if [ "$stage" = test ]; then
  need_clang
  need nginx-light have nginx
  need logrotate have logrotate
  need docker.io sh -c 'command -v dockerd && command -v docker'
  need containerd have containerd
  need runc have runc
  need busybox-static have busybox
  need iptables have iptables
  need kcat have kcat
  need docker-registry have docker-registry
  need util-linux have setpriv
  if ! have java || ! java -version 2>&1 | grep -qE 'version "(1[7-9]|[2-9][0-9])'; then
    packages+=(default-jre-headless)
  fi
  need maven have mvn
  # The clients of other languages that the forward source is tested with.
  need nodejs have node
  need npm have npm
  need python3 have python3
  need python3-pip python3 -m pip --version
fi

install_needed

# --- Go ------------------------------------------------------------------------------------------

# Servers of object stores are built from their source, and filters in Go; Debian's Go is too old for both.
if [ "$stage" = test ]; then
  "$(dirname "$0")/setup-sdk.sh" go
fi

# --- Rust ----------------------------------------------------------------------------------------

wanted="$(sed -n 's/^channel *= *"\(.*\)"/\1/p' "$root/rust-toolchain.toml")"
targets=(wasm32-unknown-unknown wasm32-wasip2)

if ! have rustup && ! have cargo; then
  say "installing rustup and Rust $wanted"
  script="$(mktemp)"
  # The same script from the server that Rust itself comes from: some networks let only that one through.
  fetch() { curl --proto '=https' --tlsv1.2 -sSf -o "$script" "$1"; }
  retry 2 fetch https://sh.rustup.rs || retry 2 fetch https://static.rust-lang.org/rustup/rustup-init.sh ||
    die "rustup could not be fetched: install Rust $wanted yourself (https://rustup.rs), then run this again"
  sh "$script" -y --no-modify-path --profile minimal --default-toolchain "$wanted" </dev/null >&2
  rm -f "$script"
  PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
fi

# The folder of a target's standard library, there or not.
std_of() { printf '%s/lib/rustlib/%s/lib' "$(cd "$root" && rustc --print sysroot)" "$1"; }

if have rustup; then
  if ! rustup toolchain list | grep -q "^$wanted"; then
    say "installing Rust $wanted"
    retry 3 rustup toolchain install "$wanted" --profile minimal -c rustfmt -c clippy </dev/null >&2
  fi
  for part in rustfmt clippy; do
    rustup component list --toolchain "$wanted" --installed | grep -q "^$part" ||
      retry 3 rustup component add --toolchain "$wanted" "$part" </dev/null >&2
  done
  for target in "${targets[@]}"; do
    [ -d "$(std_of "$target")" ] && continue
    say "installing Rust's target $target"
    retry 3 rustup target add --toolchain "$wanted" "$target" </dev/null >&2 || true
  done
fi

# Where rustup reaches no server: Debian's Rust, whose standard library for the target that the
# stock plugins need is built from Debian's sources.
if [ ! -d "$(std_of wasm32-unknown-unknown)" ]; then
  die "the target wasm32-unknown-unknown is missing and rustup could not fetch it.
Debian's own Rust can stand in (about 1 minute, once):

    sudo scripts/debian-rust.sh
    RUSTUP_TOOLCHAIN=debian make demo
"
fi
[ -d "$(std_of wasm32-wasip2)" ] || say "note: the target wasm32-wasip2 is missing; only filters of your own that use WASI want it"

say "ready to $stage"
