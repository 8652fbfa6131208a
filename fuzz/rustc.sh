#!/bin/sh
# Runs rustc, and has it count what is run in flitch's own crates (LLVM's Sanitizer coverage, which needs no nightly compiler).
# Dependencies stay as they are, so that the fuzzer looks where our code is.
rustc=$1
shift
case " $* " in
  *" wasm32-"*) ;; # A plugin, which the host's build script compiles.
  *" --crate-name flitch "* | *" --crate-name flitch_"*)
    exec "$rustc" "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=16
    ;;
esac
exec "$rustc" "$@"
