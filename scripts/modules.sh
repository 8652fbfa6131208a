#!/usr/bin/env bash
# What no compiler checks of the sources: every module says on its first line what it is (tests and what cargo makes say it by
# their place), and a plugin is optimised as one.
set -euo pipefail
cd "$(dirname "$0")/.."

silent="$(git ls-files '*.rs' | grep -vE '(^|/)(tests|testdata)(/|\.rs$)' | while read -r file; do
  head -n 1 "$file" | grep -qE '^(//!|#!)' || echo "  $file"
done)"
if [ -n "$silent" ]; then
  printf 'these modules do not say what they are (begin with `//! ...`):\n%s\n' "$silent"
  exit 1
fi

libraries="$(git grep -lE '^crate-type = .*cdylib.*rlib|^crate-type = .*rlib.*cdylib' -- '*Cargo.toml' || true)"
if [ -n "$libraries" ]; then
  printf 'beside an `rlib` cargo leaves `lto` out, and does not say so; make these a "cdylib" alone, with their tests in src:\n%s\n' "$libraries"
  exit 1
fi
