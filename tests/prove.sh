#!/usr/bin/env bash
# Runs the long form of every proof that the store keeps its promises and that calls are counted right, and adds a line for each to
# bench/results/proofs.md:
#   tests/prove.sh [PERCENT [NAME...]]     PERCENT of each count, 100 by default; all proofs, or those named
# The whole takes many hours. Needs what `cargo test` needs; as root, with loop mounts and e2fsprogs, for power-cuts
# and disk-full; python3. A failed proof does not stop the others; its output is kept, and the exit code is 1.
# MESHLAKE_TEST_SEED=N replays a run. PROFILE=dev uses what `cargo test` has built, to try this script.
set -euo pipefail
cd "$(dirname "$0")/.."

# name | variable | count of the long form | test, or part of its path
proofs='
kills            | MESHLAKE_TEST_KILLS             |   10000 | durability::
power-cuts       | MESHLAKE_TEST_POWER_CUTS        |   10000 | power_cut::
simulated-disk   | MESHLAKE_TEST_SEEDS             | 1000000 | every_acked_row_is_there_once_after_any_crash
query-kills      | MESHLAKE_TEST_QUERY_KILLS       |    1000 | query_process::kills
cancels          | MESHLAKE_TEST_CANCELS           |    1000 | postgres::drivers::cancels
settled          | MESHLAKE_TEST_SETTLED_SEEDS     |   50000 | cells_and_open_rows_are_all_rows
tail-kills       | MESHLAKE_TEST_TAIL_KILLS        |    1000 | every_line_is_stored_once_after_kill_9
import-kills     | MESHLAKE_TEST_IMPORT_KILLS      |    1000 | every_line_is_imported_once_after_kill_9
endless-line     | MESHLAKE_TEST_LINE_MIB          |    1024 | a_line_without_an_end
fail-points      | MESHLAKE_TEST_FAIL_POINT_ROUNDS |      50 | fail_points::
disk-full        | MESHLAKE_TEST_DISK_FULL_CYCLES  |     200 | disk_full::
eio-on-fdatasync | MESHLAKE_TEST_SYNC_FAILURES     |    1000 | sync_failures
bit-flips        | MESHLAKE_TEST_BIT_FLIPS         |  100000 | bit_flips
commits          | MESHLAKE_TEST_COMMITS           |   10000 | many_commits::
readers-seconds  | MESHLAKE_TEST_READERS_SECONDS   |    3600 | readers::
calls            | MESHLAKE_TEST_STORIES           |  100000 | what_is_told_is_what_happened
large-mesh       | MESHLAKE_TEST_MESH_PERMILLE     |    1000 | a_minute_of_a_large_mesh_is_settled_within_its_memory
rollouts         | MESHLAKE_TEST_ROLLOUTS          |       1 | a_rollout_of_real_envoys_cost_what_the_client_lost
'

percent="${1:-100}"
[[ "$percent" =~ ^[1-9][0-9]*$ ]] || { echo "usage: tests/prove.sh [PERCENT [NAME...]]" >&2; exit 64; }
shift || true
profile="${PROFILE:-release}"

results=bench/results/proofs.md
if [ ! -e "$results" ]; then
  cat > "$results" <<'END'
# Long forms of the proofs

One line a run of one proof, written by [tests/prove.sh](../../tests/prove.sh). The count is how many kills, cuts, seeds,
rounds, cycles, errors, flips, commits or seconds there were; "of" is the long form.

| date | proof | count | of | seconds | outcome | commit | machine |
|---|---|---|---|---|---|---|---|
END
fi

cores=$(nproc)
memory=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)
model=$(awk -F': ' '/^model name/ { print $2; exit }' /proc/cpuinfo)
machine="${model:-$(uname -m)}, $cores cores, $memory MiB, Linux $(uname -r), $profile"
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
git diff --quiet HEAD -- . ':!bench/results' 2>/dev/null || commit="$commit and changes"

test_all=(cargo test --profile "$profile" --locked --workspace --lib --bins --tests)
[ "$profile" = dev ] && test_all=(cargo test --locked --workspace --lib --bins --tests)
"${test_all[@]}" --no-run

is_wanted() {
  local name="$1"
  shift
  [ $# -eq 0 ] && return 0
  for wanted in "$@"; do [ "$wanted" = "$name" ] && return 0; done
  return 1
}

failed=0
while IFS='|' read -r name variable long filter; do
  name="${name// /}" variable="${variable// /}" long="${long// /}" filter="${filter// /}"
  [ -n "$name" ] || continue
  is_wanted "$name" "$@" || continue
  count=$(((long * percent + 99) / 100))
  printf '\n== %s: %s of %s\n' "$name" "$count" "$long"
  output=$(mktemp "${TMPDIR:-/tmp}/meshlake-$name.XXXXXX")
  begun=$(date +%s)
  outcome=failed
  if env "$variable=$count" "${test_all[@]}" -- --nocapture "$filter" > "$output" 2>&1 < /dev/null; then outcome=passed; fi
  seconds=$(($(date +%s) - begun))
  # What did not run proves nothing.
  if [ "$outcome" = passed ] && ! grep -qE 'test result: ok\. [1-9]' "$output"; then outcome="no such test"; fi
  if [ "$outcome" = passed ] && grep -q 'skipped, ' "$output"; then outcome=skipped; fi
  date="$(date -u +%F)"
  line="| $date | $name | $count | $long | $seconds | $outcome | $commit | $machine |"
  echo "$line" | tee -a "$results"
  if [ "$outcome" = passed ]; then
    rm "$output"
  else
    failed=1
    tail -40 "$output"
    echo "all of it: $output"
  fi
done <<< "$proofs"
exit "$failed"
