#!/usr/bin/env bash
# Every module says on its first line what it is. Tests and what cargo makes say it by their place.
set -euo pipefail
cd "$(dirname "$0")/.."

silent="$(git ls-files '*.rs' | grep -vE '(^|/)(tests|testdata)(/|\.rs$)' | while read -r file; do
  head -n 1 "$file" | grep -qE '^(//!|#!)' || echo "  $file"
done)"
if [ -n "$silent" ]; then
  printf 'these modules do not say what they are (begin with `//! ...`):\n%s\n' "$silent"
  exit 1
fi
