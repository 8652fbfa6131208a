#!/usr/bin/env bash
# Runs the pipelines of examples/ between real parts and compares what arrives: all five, or the one whose number is given.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"

if [ "$#" -gt 0 ]; then
  compgen -G "examples/$1-*" >/dev/null || die "there is no example $1; there are: $(cd examples && echo [0-9]*)"
  say "running examples/$(cd examples && echo "$1"-*)"
fi
exec cargo test --quiet --workspace --test e2e "examples::${1:+e$1_}" -- --nocapture --test-threads=1
