#!/usr/bin/env bash
# Measures the release binary on core 0 under a load from core 1 and keeps the result:
#   bench/run.sh NAME [options of `meshlake-bench run`]     writes bench/results/NAME.md
# With the defaults: 1,000,000 spans as 1,000 requests of 1,000, 8 in flight over 4 connections.
set -euo pipefail
cd "$(dirname "$0")/.."
name="${1:?usage: bench/run.sh NAME [options]}"
shift
mkdir -p bench/results
target="${CARGO_TARGET_DIR:-target}"
cargo build --release --package meshlake --package meshlake-bench
exec taskset --cpu-list 1 "$target/release/meshlake-bench" run \
  --binary "$target/release/meshlake" --result "bench/results/$name.md" "$@"
