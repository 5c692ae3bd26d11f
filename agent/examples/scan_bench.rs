//! How fast a large CBS.log is scanned, as a share of a bare pass over its lines, and what memory
//! it costs.
//!
//! `cargo run --release -p fleetmend-agent --example scan_bench -- [--mib N] [SAMPLE…]` repeats the
//! samples into a temporary file of at least N MiB (512), and measures both ways of reading it several
//! times in turn, so that both see the same caches. An `.evtx` sample is measured against the event
//! library alone. Without samples it takes those beside the repository, else logs of its own. It ends
//! with 1 where a share is below its limit.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fleetmend_agent::collect;
use fleetmend_core::knowledge::Catalogue;
use fleetmend_core::report::Source;

/// Size of the file that is read, unless told.
const MIB: u64 = 512;
/// The least share of a bare pass over the lines.
const TEXT_LIMIT: f64 = 0.2;
/// The least share of the event library alone.
const EVENTS_LIMIT: f64 = 0.7;
/// The most memory that scanning a log may add to a bare pass over it.
const MEMORY_LIMIT_KIB: u64 = 8 * 1024;
/// Bytes read at once by the bare pass.
const BLOCK: usize = 256 * 1024;
/// Times each way is measured.
const TIMES: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut samples: Vec<PathBuf> = Vec::new();
    let mut size = MIB << 20;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--mib" {
            size = words.next().ok_or("--mib wants a number")?.parse::<u64>()? << 20;
        } else {
            samples.push(word.into());
        }
    }
    if samples.is_empty() {
        samples = beside()?;
    }
    let (events, logs): (Vec<_>, Vec<_>) =
        samples.iter().partition(|s| s.extension().is_some_and(|e| e == "evtx"));
    let mut well = text(&logs, size)?;
    for sample in events {
        well &= event_file(sample)?;
    }
    if well { Ok(()) } else { Err("a share is below its limit".into()) }
}

/// The samples beside the repository, where they are.
fn beside() -> Outcome<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/samples");
    let mut found = Vec::new();
    for part in ["cbs", "evtx"] {
        let Ok(entries) = std::fs::read_dir(folder.join(part)) else { continue };
        for entry in entries {
            found.push(entry?.path());
        }
    }
    found.sort();
    Ok(found)
}

/// One CBS.log made of the samples, read both ways.
fn text(samples: &[&PathBuf], size: u64) -> Outcome<bool> {
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
    while written < size {
        writer.write_all(&log)?;
        written += log.len() as u64;
    }
    writer.flush()?;
    drop(writer);
    drop(log);
    let catalogue = Catalogue::default();
    let (mut bare, mut scan) = (Vec::new(), Vec::new());
    let (mut lines, mut found) = (0, 0);
    let (mut least, mut most) = (0, 0);
    for round in 0..TIMES {
        file.rewind()?;
        forget_peak();
        let begun = Instant::now();
        lines = line_pass(&mut file)?;
        bare.push(begun.elapsed());
        if round == 0 {
            least = peak_kib().unwrap_or(0);
        }
        file.rewind()?;
        forget_peak();
        let begun = Instant::now();
        found = collect::read(Source::Cbs, &mut file, &catalogue)?.reports.len();
        scan.push(begun.elapsed());
        if round == 0 {
            most = peak_kib().unwrap_or(0);
        }
    }
    let (bare, scan) = (median(bare), median(scan));
    let share = bare.as_secs_f64() / scan.as_secs_f64();
    let memory = most.saturating_sub(least);
    say(&format!("CBS.log of {} MiB, {lines} lines, {found} failures", written >> 20));
    say(&format!(
        "  memchr line pass {:.2} GiB/s, scan {:.2} GiB/s",
        rate(written, bare),
        rate(written, scan)
    ));
    say(&format!("  share {share:.2} of the line pass (limit {TEXT_LIMIT})"));
    say(&format!(
        "  memory {memory} KiB over the line pass (limit {MEMORY_LIMIT_KIB}), of which the failures found are the most"
    ));
    Ok(share >= TEXT_LIMIT && memory <= MEMORY_LIMIT_KIB)
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
fn event_file(path: &Path) -> Outcome<bool> {
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
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (own, bare) = (ours.as_secs_f64() * 1e6, alone.as_secs_f64() * 1e6);
    say(&format!(
        "{name}: {records} records, {share:.2} of the library alone (limit {EVENTS_LIMIT}): {own:.0} µs against {bare:.0}"
    ));
    Ok(share >= EVENTS_LIMIT)
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

/// Has the kernel count the most memory anew.
fn forget_peak() {
    // Where it cannot, the peaks are those since the start, and still true.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
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
