# Debian packages, for the scripts that install what is missing: `source "$(dirname "$0")/packages.sh"` behind common.sh,
# `need` each package, then `install_needed` once.
#
# They are installed when this runs as root or sudo asks for no password; otherwise the command to run is printed.

export DEBIAN_FRONTEND=noninteractive

packages=()
# need PACKAGE TEST…: remembers the package if the test fails.
need() {
  local package="$1"
  shift
  "$@" >/dev/null 2>&1 || packages+=("$package")
}
header() { [ -e "/usr/include/$1" ] || compgen -G "/usr/include/*/$1" >/dev/null; }
any_file() { compgen -G "$1" >/dev/null; }
# need_clang: what compiles C to WebAssembly.
need_clang() {
  need clang-19 have clang-19
  need lld-19 have wasm-ld-19
  need wasi-libc any_file '/usr/include/wasm32-wasi/stdlib.h'
  need libclang-rt-19-dev-wasm32 any_file '/usr/lib/llvm-19/lib/clang/19/lib/*/libclang_rt.builtins-wasm32.a'
}

apt() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo -n env DEBIAN_FRONTEND=noninteractive "$@"
  fi
}

# Debian starts a daemon when it installs it. Tests start their own, on loopback, and stop them;
# policy-rc.d is Debian's own switch against the first, and stands only while packages go in.
policy=/usr/sbin/policy-rc.d
install_packages() {
  local mine=no status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | apt tee "$policy" >/dev/null
    apt chmod 755 "$policy"
    mine=yes
  fi
  { retry 3 apt apt-get update -qq </dev/null &&
    retry 3 apt apt-get install -y -qq --no-install-recommends "$@" </dev/null; } >&2 || status=$?
  if [ "$mine" = yes ]; then apt rm -f "$policy"; fi
  return "$status"
}

install_needed() {
  [ "${#packages[@]}" -gt 0 ] || return 0
  local command="apt-get install --no-install-recommends ${packages[*]}"
  have apt-get || die "missing here: ${packages[*]} (Debian's names); this script installs by apt-get only"
  if [ "$(id -u)" != 0 ] && ! { have sudo && sudo -n true 2>/dev/null; }; then
    die "these packages are missing; install them and run this again:

    sudo $command
"
  fi
  say "installing ${packages[*]}"
  install_packages "${packages[@]}" || die "failed: $command"
  packages=()
}
