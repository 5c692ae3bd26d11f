#!/usr/bin/env bash
# Makes (once) a small Debian or Ubuntu root of this machine's own release, which tests copy, break
# and repair. Sourced by scripts/test.sh; sets FLEETMEND_TEST_ROOT.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?this system names no release}")
template="$cache/roots/$release"
mirror=$(grep -rhoE '(https?|file)://[^ ]+' /etc/apt/sources.list /etc/apt/sources.list.d/ 2>/dev/null | grep -v security | head -n 1)
if ! [ -e "$template/.complete" ]; then
  as_root rm -rf "$template"
  mkdir -p "$(dirname "$template")"
  as_root debootstrap --variant=minbase "$release" "$template" "${mirror:?no package mirror in the apt sources}" >"$cache/debootstrap.log" 2>&1 ||
    { tail -n 20 "$cache/debootstrap.log" >&2; exit 1; }
  as_root touch "$template/.complete"
fi
export FLEETMEND_TEST_ROOT="$template"
# With this set a test that cannot run fails instead of being skipped.
export FLEETMEND_REQUIRE_SYSTEM=1
