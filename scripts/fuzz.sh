#!/usr/bin/env bash
# Feeds every reader of bytes from outside with inputs that an engine makes up (libFuzzer, by coverage,
# on stable Rust without a sanitizer: our own code has no unsafe part).
#   scripts/fuzz.sh [TARGET...]          10 s each, two at a time, from the repository's corpus
#   scripts/fuzz.sh --long [TARGET...]   10,000,000 inputs each, one at a time, and a table of figures
# An input that breaks a reader is kept in fuzz/found/ and named; once mended, move it to fuzz/corpus/.
set -euo pipefail
cd "$(dirname "$0")/.."
long=
if [ "${1:-}" = --long ]; then long=1; shift; fi
command -v c++ >/dev/null || { . scripts/tools.sh; apt_install g++; }

# Our own crates are compiled with counters, into a profile of their own.
RUSTC_WRAPPER="$PWD/scripts/fuzz-rustc.sh" \
  cargo build --quiet --profile fuzz -p fleetmend-fuzz --features engine
fuzzer="${CARGO_TARGET_DIR:-target}/fuzz/fleetmend-fuzz"
if [ $# -gt 0 ]; then targets=("$@"); else targets=(); for folder in fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p fuzz/found
# Memory is bounded: a reader that needs more than its bytes are worth is a defect too.
bounds=(-rss_limit_mb=512 -malloc_limit_mb=128 -timeout=10 -verbosity=1 -print_final_stats=1)

# The longest input, in bytes. The engine makes them longer and longer; beyond this they show nothing
# new of a reader of lines or of what a person types, and take much longer.
longest() { # longest TARGET
  case "$1" in
    code | question) echo 2048 ;;
    backups) echo 4096 ;;
    utf16 | dpkg | cbs | dism | setup | windows_update | catalogue) echo 16384 ;;
    *) echo 65536 ;;
  esac
}

run() { # run TARGET LIMIT...
  local target=$1; shift
  mkdir -p "$work/$target"
  FLEETMEND_FUZZ_TARGET="$target" "$fuzzer" "$work/$target" "fuzz/corpus/$target" "${bounds[@]}" -max_len="$(longest "$target")" "$@" \
    -artifact_prefix="fuzz/found/$target-" >"$work/$target.log" 2>&1
}

figures() { # figures TARGET: inputs, inputs a second, edges, seconds, peak MiB
  local log="$work/$1.log"
  local cover; cover=$(grep -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2)
  local runs rate peak
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
  peak=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log")
  printf '| %-16s | %10s | %6s | %5s | %4s |\n' "$1" "$runs" "$rate" "$cover" "$peak"
}

failed=()
report() { # report TARGET STATUS
  if [ "$2" = 0 ]; then figures "$1"; else failed+=("$1"); tail -40 "$work/$1.log" >&2; fi
}

printf '| %-16s | %10s | %6s | %5s | %4s |\n' target inputs 'a s' edges MiB
if [ -n "$long" ]; then
  for target in "${targets[@]}"; do
    status=0; run "$target" -runs=10000000 || status=$?
    report "$target" "$status"
  done
else
  for ((at = 0; at < ${#targets[@]}; at += 2)); do
    pair=("${targets[@]:at:2}") pids=()
    for target in "${pair[@]}"; do run "$target" -max_total_time=10 & pids+=($!); done
    for i in "${!pair[@]}"; do
      status=0; wait "${pids[i]}" || status=$?
      report "${pair[i]}" "$status"
    done
  done
fi
if [ ${#failed[@]} -gt 0 ]; then
  echo "broken: ${failed[*]}; the inputs are in fuzz/found/" >&2
  exit 1
fi
