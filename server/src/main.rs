//! `fleetmend-server`: the command line around the library.

use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: nobody shall run a server that was told to fail without knowing it.
    match fleetmend_faults::asked() {
        Ok(None) => {}
        Ok(Some(what)) => {
            let _ =
                writeln!(std::io::stderr(), "fleetmend-server: A TEST BUILD TOLD TO FAIL: {what}");
        }
        Err(why) => {
            let _ = writeln!(std::io::stderr(), "fleetmend-server: {why}");
            return ExitCode::from(2);
        }
    }
    fleetmend_server::admin::main()
}
