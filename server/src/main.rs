//! `fleetmend-server`: the command line around the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    fleetmend_server::admin::main()
}
