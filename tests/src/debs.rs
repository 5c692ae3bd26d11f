//! Packages of a test's own and a repository of them, made in a root by shell.

/// `deb NAME DEPENDS SCRIPT BODY`: builds a package into the repository. `index`: writes its lists.
pub const REPOSITORY: &str = r#"
deb() {
  mkdir -p /srv/build/$1/DEBIAN /srv/apt
  printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Example <ops@example.com>\nDescription: package of a test\n%s' $1 "${2:+Depends: $2
}" > /srv/build/$1/DEBIAN/control
  if [ -n "$3" ]; then printf '#!/bin/sh\n%s\n' "$4" > /srv/build/$1/DEBIAN/$3; chmod 755 /srv/build/$1/DEBIAN/$3; fi
  dpkg-deb -b /srv/build/$1 /srv/apt/$1.deb >/dev/null
}
index() {
  cd /srv/apt; : > Packages
  for deb in *.deb; do
    dpkg-deb -f $deb >> Packages
    printf 'Filename: %s\nSize: %s\nSHA256: %s\n\n' $deb $(stat -c %s $deb) $(sha256sum $deb | cut -d' ' -f1) >> Packages
  done
  printf 'Date: %s\nSHA256:\n %s %s Packages\n' "$(date -Ru | sed 's/+0000/UTC/')" $(sha256sum Packages | cut -d' ' -f1) $(stat -c %s Packages) > Release
}
"#;
