#!/bin/sh
# The compiler of the crates of this workspace, for RUSTC_WORKSPACE_WRAPPER: as a build for tests, and beside it
# coverage for libFuzzer, optimised. Crates of others stay as the tests have them, so nothing of them is built again.
set -eu
# What is measured: edges (level 3) and indirect calls (4), by counters of 8 bits that know their place in the code,
# and the operands of comparisons. These are options of LLVM, which every rustc passes on.
exec "$@" \
  -C passes=sancov-module \
  -C llvm-args=-sanitizer-coverage-level=4 \
  -C llvm-args=-sanitizer-coverage-inline-8bit-counters \
  -C llvm-args=-sanitizer-coverage-pc-table \
  -C llvm-args=-sanitizer-coverage-trace-compares \
  -C opt-level=2 -C debug-assertions=on -C overflow-checks=on
