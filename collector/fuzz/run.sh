#!/usr/bin/env bash
# Fuzzes each target for some seconds, or only those named: run.sh SECONDS [TARGET...]. Starts from corpus/ and
# changes nothing in it: what is new goes to a directory outside of the tree's files, and so does an input that
# breaks something, which also makes the exit code 1.
# Needs rustup's nightly and a C++ compiler; installs cargo-fuzz when it is missing.
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

built="${CARGO_TARGET_DIR:-$PWD/target}"
triple="$(rustc +nightly -vV | sed -n 's/^host: //p')"

cargo fuzz --version > /dev/null 2>&1 || cargo install cargo-fuzz --locked
# cargo-fuzz cannot be told to leave Cargo.lock alone, so it is checked before.
cargo +nightly fetch --locked
cargo +nightly fuzz build --fuzz-dir . --target-dir "$built"

failed=()
for target in "${targets[@]}"; do
  found="$built/fuzz/$target"
  mkdir -p "$found/corpus"
  printf '\n== %s, %s s (%s)\n' "$target" "$seconds" "$(date -u +%H:%M:%S)"
  # A record with every field set has less than 8 KiB, and so has a body that inflates to more than the targets'
  # limit. 1 GiB and 10 s are guesses, not measured.
  "$built/$triple/release/$target" "$found/corpus" "corpus/$target" -max_total_time="$seconds" -max_len=8192 \
    -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -artifact_prefix="$found/" || failed+=("$target")
done

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nfailed: %s\n' "${failed[*]}" >&2
  for target in "${failed[@]}"; do
    ls "$built/fuzz/$target/"*-* >&2
  done
  exit 1
fi
