//! How fast codes are read as people type them, and how fast one who mistyped is helped along.
//!
//! `cargo run --release -p fleetmend-catalog --example read_bench` reads the same spellings again and
//! again, by kind, and ends with 1 where a kind comes to fewer than 50,000 a second of processor
//! time. What no code is costs the most: it is looked up among the symbols, and words of it among
//! the names of all entries.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use fleetmend_catalog::{Wish, ask, builtin, read_code};
use fleetmend_core::knowledge::Lang;

/// The fewest a second.
const LIMIT: f64 = 50_000.0;
/// How long each kind is read.
const TIME: Duration = Duration::from_millis(500);
/// Rounds between two looks at the clock.
const ROUNDS: u32 = 64;

/// One reading; whether it came to a code.
type Reader = fn(&str) -> bool;

#[expect(clippy::print_stdout, reason = "its figures are its purpose")]
fn main() -> ExitCode {
    let catalogue = builtin();
    let read: Reader = |typed| read_code(builtin(), typed).is_ok();
    let asked: Reader = |typed| ask(builtin(), typed, Wish::all(Lang::Ru)).is_ok();
    let kinds: [(&str, Reader, &[&str]); 5] = [
        ("exact", read, &["0x80070003", "0x800F081F", "exit:11", "apt.lock_held"]),
        (
            "as typed",
            read,
            &[
                "0х80070003",
                "-2147024893",
                "код ошибки 0х8007000З",
                "0x8007003",
                "%%2147942403",
                "0xC1900101 - 0x4000D",
                "restic exit code 11 (lock)",
                "Windows failed to install the following update with error 0x80070003",
            ],
        ),
        ("symbols", read, &["ERROR_PATH_NOT_FOUND", "wu_e_no_service", "STATUS_DISK_FULL"]),
        ("no code", read, &["hello", "0x12", "ERROR_OF_NOBODY", "0x80070003 0x80070002"]),
        ("did you mean", asked, &["update cache", "0x8007002", "сеть недоступна", "zzz nothing"]),
    ];
    println!("{} codes, {} causes", catalogue.codes.len(), catalogue.causes.len());
    let mut well = true;
    for (name, reader, typed) in kinds {
        let (mut readings, mut codes) = (0_u32, 0_u32);
        let (begun, busy) = (Instant::now(), processor_time());
        while begun.elapsed() < TIME {
            for _ in 0..ROUNDS {
                for text in typed {
                    codes += u32::from(reader(std::hint::black_box(text)));
                    readings += 1;
                }
            }
        }
        let spent = match (busy, processor_time()) {
            (Some(before), Some(after)) => after.saturating_sub(before),
            _ => begun.elapsed(),
        };
        let rate = f64::from(readings) / spent.as_secs_f64().max(1e-9);
        well &= rate >= LIMIT;
        println!("{name}: {rate:.0} a second, {:.0} % codes", percent(codes, readings));
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn percent(part: u32, whole: u32) -> f64 {
    100.0 * f64::from(part) / f64::from(whole.max(1))
}

/// What this thread has used so far, by Linux: what else runs does not matter.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}
