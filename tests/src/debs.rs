//! Packages of a test's own and a repository of them, made in a root by shell.

/// A package's script that is killed with its dpkg the first time, waits for ever the second, and works
/// the third. Each time it leaves a line.
pub const THIRD_TIME_LUCKY: &str = r"echo run >> /var/lib/example-app.runs
case $(wc -l < /var/lib/example-app.runs) in
  1) kill -9 $PPID ;;
  2) mkfifo /var/lib/example-app.gate; read line < /var/lib/example-app.gate ;;
esac
echo example-app is configured";

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
