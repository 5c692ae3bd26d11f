#!/usr/bin/env bash
# Builds the Linux agent as one static file (docs/adr/0001) and prints its path and size.
set -euo pipefail
cd "$(dirname "$0")/.."
target="$(uname -m)-unknown-linux-gnu"
# Flags given by an environment or a config file stay out: this build is the same everywhere.
export RUSTFLAGS='-C target-feature=+crt-static'
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}/static"
cargo build --release --locked --target "$target" -p fleetmend-agent --bin fleetmend-agent "$@"
file="$CARGO_TARGET_DIR/$target/release/fleetmend-agent"
if readelf -d "$file" | grep -q NEEDED; then echo "$file is not static" >&2; exit 1; fi
echo "$file $(stat -c %s "$file") bytes"
