#!/usr/bin/env bash
# Makes (once) a small Debian or Ubuntu root of this machine's own release, which tests copy, break
# and repair. Sourced by scripts/test.sh; sets FLEETMEND_TEST_ROOT, and
# FLEETMEND_TEST_SYSTEMD_ROOT for one that can be booted, and FLEETMEND_TEST_TOOLS_ROOT for one that
# has backup programs and the package tools of other distributions too.
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?this system names no release}")
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
  awk -v release="$release" '$1 == release && $2 == "main" && !found { print $3; found = 1 }')

make_root() { # make_root NAME EXTRA-PACKAGES: once; prints where it lies
  local root="$cache/roots/$release-$1" log="$cache/debootstrap-$1.log"
  if ! [ -e "$root/.complete" ]; then
    as_root rm -rf "$root"
    mkdir -p "$cache/roots"
    as_root debootstrap --variant=minbase ${2:+--include="$2"} "$release" "$root" \
      "${mirror:?no package mirror in the apt sources}" >"$log" 2>&1 || { tail -n 20 "$log" >&2; return 1; }
    as_root rm -rf "$root"/var/cache/apt/archives/*.deb
    as_root touch "$root/.complete"
  fi
  echo "$root"
}

FLEETMEND_TEST_ROOT=$(make_root plain "")
FLEETMEND_TEST_SYSTEMD_ROOT=$(make_root systemd systemd,dbus)
FLEETMEND_TEST_TOOLS_ROOT=$(make_root tools systemd,dbus,restic,borgbackup,rsync,rpm,dnf,createrepo-c,zypper)
export FLEETMEND_TEST_ROOT FLEETMEND_TEST_SYSTEMD_ROOT FLEETMEND_TEST_TOOLS_ROOT
# With this set a test that cannot run fails instead of being skipped.
export FLEETMEND_REQUIRE_SYSTEM=1
