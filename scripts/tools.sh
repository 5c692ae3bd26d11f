#!/usr/bin/env bash
# Finds or installs the programs that the checks need, into the user's cache folder.
# Sourced by scripts/test.sh; sets PATH. Needs nothing but Rust, git, and apt as root (or sudo).
cache="${XDG_CACHE_HOME:-$HOME/.cache}/fleetmend"
mkdir -p "$cache"
export PATH="$cache/tools/bin:$HOME/.cargo/bin:$PATH"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

apt_updated=
apt_install() { # apt_install PACKAGE...: installs what is missing
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  if [ -z "$apt_updated" ]; then as_root apt-get update -qq; apt_updated=1; fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A Rust tool as a ready-made wheel where one is to be had, else built from source.
rust_tool() { # rust_tool PROGRAM WHEEL VERSION
  command -v "$1" >/dev/null && return 0
  if ! [ -x "$cache/tools/bin/pip" ]; then
    apt_install python3 python3-venv
    python3 -m venv "$cache/tools"
  fi
  "$cache/tools/bin/pip" install -q --disable-pip-version-check "$2==$3" 2>/dev/null && return 0
  echo "building $1 $3 from source: a few minutes" >&2
  cargo install --locked --root "$cache/tools" "$1" --version "$3"
}
