#!/usr/bin/env bash
# Builds the conformance guests and the examples of the SDKs whose toolchains no build script may fetch, and runs those
# SDKs' own tests.
#
#   scripts/sdk.sh build [python|js]…       components into target/sdk/<language>-{conformance,example}.wasm
#   scripts/sdk.sh test [c|go|python|js]…   the tests of each in the language's own test tool
#
# Without a language: all of them. What was built once lies in ~/.cache/flitch/sdk under a hash of all that it was made of,
# so that a second call, or a second checkout, builds nothing.
set -euo pipefail
source "$(dirname "$0")/common.sh"
cd "$root"

languages=(python js)
# Those whose components the tests' build script makes have tests of their own as well.
tested=(c go "${languages[@]}")
PATH="$FLITCH_CACHE/sdk/bin:$PATH"
out=target/sdk

# What a component of a language is made of, and the command that makes one: SOURCE is conformance or example.
inputs_python() { find sdk/python/flitch_sdk "sdk/python/$1" -type f \( -name '*.py' -o -name '*.wit' \); }
build_python() {
  local module=app
  [ "$1" = example ] && module=logline
  # Once each, for it takes half a gigabyte. The order of names decides about the bytes of the component.
  PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=sdk/python nice python3 -m flitch_sdk.build -p "sdk/python/$1" "$module" -o "$2"
}
test_c() {
  scripts/setup-sdk.sh c >&2
  make --silent -C sdk/c test all
  make --silent -C sdk/c/template test all
}
test_go() {
  scripts/setup-sdk.sh go >&2
  (cd sdk/go && go vet ./... && go test ./...)
  (cd sdk/go/template && go vet ./... && go test ./...)
}
test_python() {
  PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -s sdk/python/tests
  (cd sdk/python/template && PYTHONDONTWRITEBYTECODE=1 python3 -m unittest -q)
}

inputs_js() { find sdk/js/{src,tool,wit,"$1"} sdk/js/package.json -type f; }
build_js() {
  local module=filter
  [ "$1" = example ] && module=logline
  nice node sdk/js/tool/cli.mjs "sdk/js/$1/$module.js" -o "$2"
}
test_js() {
  (cd sdk/js && node --test --test-reporter=dot test/)
  # The templates are packages of their own, which find the SDK as npm would put it.
  scripts/setup-sdk.sh js >&2
  local folder template
  folder="$(mktemp -d)"
  for template in template template-ts; do
    cp -r "sdk/js/$template" "$folder/"
    mkdir "$folder/$template/node_modules"
    ln -s "$root/sdk/js" "$folder/$template/node_modules/flitch-sdk"
  done
  (cd "$folder/template" && node --test --test-reporter=dot test/)
  (cd "$folder/template-ts" &&
    "$FLITCH_CACHE/sdk/js/node_modules/.bin/esbuild" test/*.test.ts --bundle --packages=external --platform=node \
      --format=esm --outdir=out --out-extension:.js=.mjs --log-level=warning &&
    node --test --test-reporter=dot out/)
  node sdk/js/tool/cli.mjs "$folder/template-ts/src/filter.ts" -o "$folder/filter.wasm" --stub-wasi
  rm -r "$folder"
}

build() {
  local language="$1" source hash kept
  for source in conformance example; do
    hash="$({
      # The command and its versions, and not all else that the scripts do.
      declare -f "build_$language"
      grep -E '^(componentize_py|js_packages)=' scripts/setup-sdk.sh
      "inputs_$language" "$source" | LC_ALL=C sort | xargs sha256sum
    } | sha256sum | cut -c 1-16)"
    kept="$FLITCH_CACHE/sdk/$language-$source-$hash.wasm"
    if [ ! -f "$kept" ]; then
      say "building the $source of sdk/$language"
      # The toolchain only where something is to be built.
      scripts/setup-sdk.sh "$language" >&2
      "build_$language" "$source" "$kept.$$" >&2
      mv "$kept.$$" "$kept"
    fi
    mkdir -p "$out"
    ln -sfn "$kept" "$out/$language-$source.wasm"
  done
}

command="${1:-}"
shift || true
case "$command" in
  build) known=("${languages[@]}") ;;
  test) known=("${tested[@]}") ;;
  *) die "usage: sdk.sh build|test [${tested[*]}]" ;;
esac
[ "$#" -gt 0 ] || set -- "${known[@]}"
for language in "$@"; do
  [[ " ${known[*]} " == *" $language "* ]] || die "there is no $language here: ${known[*]}"
  if [ "$command" = build ]; then build "$language"; else "test_$language"; fi
done
