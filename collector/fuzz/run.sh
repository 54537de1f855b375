#!/usr/bin/env bash
# Fuzzes each target for some seconds, two at a time, or only those named: run.sh SECONDS [TARGET...]. Starts from
# corpus/ and changes nothing in it: what is new goes below the build directory, and so does an input that breaks
# something, which also makes the exit code 1.
# Needs a C++ compiler, and no other Rust than the rest; see README.md.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:?usage: run.sh SECONDS [TARGET...]}"
shift
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  targets=(fuzz_targets/*.rs)
  targets=("${targets[@]##*/}")
  targets=("${targets[@]%.rs}")
fi

# The whole workspace and examples, which may use what tests may: so every dependency has the features that it has
# in `cargo test`, and is not built again.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/../../target}"
RUSTC_WORKSPACE_WRAPPER="$PWD/rustc.sh" cargo build --locked --workspace "${targets[@]/#/--example=}"

# 8 KiB hold a record with every field set, and a body that inflates to more than the targets' limit.
# 1 GiB and 10 s are guesses, not measured.
fuzz() {
  local target="$1" found="$CARGO_TARGET_DIR/fuzz/$1"
  mkdir -p "$found/corpus"
  if "$CARGO_TARGET_DIR/debug/examples/$target" "$found/corpus" "corpus/$target" -max_total_time="$seconds" \
    -max_len=8192 -rss_limit_mb=1024 -timeout=10 -artifact_prefix="$found/" > "$found/log" 2>&1; then
    printf '%s: %s\n' "$target" "$(grep 'DONE' "$found/log")"
  else
    printf '%s FAILED, the end of %s:\n' "$target" "$found/log" >&2
    tail -n 40 "$found/log" >&2
    return 1
  fi
}

failed=0
running=0
for target in "${targets[@]}"; do
  if [ $running = 2 ]; then
    wait -n || failed=1
    running=1
  fi
  fuzz "$target" &
  running=$((running + 1))
done
while [ $running -gt 0 ]; do
  wait -n || failed=1
  running=$((running - 1))
done
exit $failed
