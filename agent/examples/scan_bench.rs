//! How fast a large CBS.log is scanned, as a share of a bare pass over its lines, and what memory
//! it costs.
//!
//! `cargo run --release -p fleetmend-agent --example scan_bench -- [SAMPLE…]` repeats the samples
//! (or a log of its own) into a temporary file of at least 512 MB, and measures both ways of reading
//! it several times in turn, so that both see the same caches. An `.evtx` sample is measured against
//! the event library alone.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_agent::collect;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::Source;

/// Size of the file that is read.
const SIZE: u64 = 512 * 1024 * 1024;
/// Bytes read at once by the bare pass.
const BLOCK: usize = 256 * 1024;
/// Times each way is measured.
const TIMES: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let samples: Vec<String> = std::env::args().skip(1).collect();
    let (events, logs): (Vec<_>, Vec<_>) =
        samples.iter().partition(|s| Path::new(s).extension().is_some_and(|e| e == "evtx"));
    if !logs.is_empty() || events.is_empty() {
        text(&logs)?;
    }
    for sample in events {
        event_file(Path::new(sample))?;
    }
    say(&format!("peak resident memory: {} KiB", peak_kib().unwrap_or(0)));
    Ok(())
}

/// One CBS.log made of the samples, read both ways.
fn text(samples: &[&String]) -> Outcome<()> {
    let mut log = Vec::new();
    for sample in samples {
        File::open(sample)?.read_to_end(&mut log)?;
    }
    if log.is_empty() {
        log = own_log();
    }
    let mut file = tempfile::tempfile()?;
    let mut writer = BufWriter::new(&mut file);
    let mut written = 0;
    while written < SIZE {
        writer.write_all(&log)?;
        written += log.len() as u64;
    }
    writer.flush()?;
    drop(writer);
    drop(log);
    let catalogue = Catalogue::default();
    let (mut bare, mut scan) = (Vec::new(), Vec::new());
    let (mut lines, mut found) = (0, 0);
    for _ in 0..TIMES {
        file.rewind()?;
        let begun = Instant::now();
        lines = line_pass(&mut file)?;
        bare.push(begun.elapsed());
        file.rewind()?;
        let begun = Instant::now();
        found = collect::read(Source::Cbs, &mut file, &catalogue)?.reports.len();
        scan.push(begun.elapsed());
    }
    let (bare, scan) = (median(bare), median(scan));
    say(&format!("CBS.log of {} MiB, {lines} lines, {found} failures", written >> 20));
    say(&format!("memchr line pass: {:.2} GiB/s", rate(written, bare)));
    say(&format!("scan:             {:.2} GiB/s", rate(written, scan)));
    say(&format!("share:            {:.2}", bare.as_secs_f64() / scan.as_secs_f64()));
    Ok(())
}

/// The bare pass: every line found, nothing done with it.
fn line_pass(file: &mut File) -> std::io::Result<u64> {
    let mut block = vec![0; BLOCK];
    let (mut lines, mut bytes) = (0, 0);
    loop {
        let got = file.read(&mut block)?;
        if got == 0 {
            std::hint::black_box(bytes);
            return Ok(lines);
        }
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', &block[..got]) {
            bytes += std::hint::black_box(&block[begin..end]).len();
            begin = end + 1;
            lines += 1;
        }
    }
}

/// One event file, read by us and by the library alone (every record rendered).
fn event_file(path: &Path) -> Outcome<()> {
    let data = std::fs::read(path)?;
    let catalogue = Catalogue::default();
    let (mut alone, mut ours) = (Vec::new(), Vec::new());
    let mut records = 0;
    for _ in 0..TIMES * 9 {
        let begun = Instant::now();
        records = library(&data);
        alone.push(begun.elapsed());
        let begun = Instant::now();
        collect::read(Source::Evtx, data.as_slice(), &catalogue)?;
        ours.push(begun.elapsed());
    }
    let (alone, ours) = (median(alone), median(ours));
    let share = alone.as_secs_f64() / ours.as_secs_f64();
    say(&format!("{}: {records} records, {share:.2} of the library alone", path.display()));
    Ok(())
}

fn library(data: &[u8]) -> u64 {
    let settings = Arc::new(evtx::ParserSettings::new().num_threads(1).indent(false));
    let mut records = 0;
    for chunk in data.get(4_096..).unwrap_or_default().chunks(65_536) {
        let Ok(mut chunk) = evtx::EvtxChunkData::new(chunk.to_vec(), false) else { continue };
        let Ok(mut chunk) = chunk.parse(Arc::clone(&settings)) else { continue };
        for record in chunk.iter().flatten() {
            records += u64::from(record.into_json_bytes().is_ok());
        }
    }
    records
}

/// A log of our own: a quiet day with one failed repair.
fn own_log() -> Vec<u8> {
    let mut log = Vec::new();
    for n in 0..2_000 {
        let second = n % 60;
        log.extend_from_slice(
            format!(
                "2026-01-02 03:04:{second:02}, Info                  CBS    Plan: package Demo-Package-{n}~31bf~amd64~~10.0.{n}.1, state resolved, wanted installed\r\n"
            )
            .as_bytes(),
        );
    }
    log.extend_from_slice(
        b"2026-01-02 03:05:00, Info                  CBS    Session: 1_2 finalized. Reboot required: no [HRESULT = 0x800f081f - CBS_E_SOURCE_MISSING]\r\n",
    );
    log
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(bytes: u64, time: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let gib = bytes as f64 / (1u64 << 30) as f64;
    gib / time.as_secs_f64()
}

/// The most memory this process ever held, by the kernel.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn say(line: &str) {
    // A closed pipe is no reason to fail a measurement.
    let _ = writeln!(std::io::stdout(), "{line}");
}
