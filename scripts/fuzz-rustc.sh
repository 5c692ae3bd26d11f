#!/bin/sh
# The compiler, as cargo calls it for fuzzing: our own crates and the parsers they rest on get the
# counters by which the engine sees which way an input took; all else is compiled as it is.
rustc=$1; shift
case " $* " in
  *" --crate-name fleetmend_"*|*" --crate-name evtx "*|*" --crate-name toml"*|*" --crate-name winnow "*)
    exec "$rustc" "$@" -Cpasses=sancov-module \
      -Cllvm-args=-sanitizer-coverage-level=4 \
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
      -Cllvm-args=-sanitizer-coverage-pc-table \
      -Cllvm-args=-sanitizer-coverage-trace-compares ;;
esac
exec "$rustc" "$@"
