//! Backups, shadow copies and restore points.

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{Operation, Product};

use super::super::event::Event;
use super::{Failed, worked};
use crate::collect::draft::Sink;
use crate::collect::text;

/// `Windows Backup` of files. 4106 (some files were passed over) is a warning in a run that worked.
pub(super) fn files(event: &Event, sink: &mut Sink<'_>) {
    if event.id == 4098 {
        worked(event, Product::WindowsBackup, Operation::Backup, None, sink);
        return;
    }
    Failed::new(Product::WindowsBackup, Operation::Backup, first_code(event)).report(event, sink);
}

/// `Microsoft-Windows-Backup`: system images and Windows Server Backup. A run ends with one event of
/// its own: 4 success, 5 failure, 9 no shadow copy, 15 and 21 policy, 17 to 19 not begun, 49, 50 and
/// 52 the target. 14 ends every run and tells what was told; 7 and 23 are warnings; 16, 20 and 22
/// wait for another run. Recoveries (193 to 244) count where they are errors.
pub(super) fn image(event: &Event, sink: &mut Sink<'_>) {
    let operation = match event.id {
        4 => return worked(event, Product::SystemImage, Operation::Backup, None, sink),
        5 | 9 | 15 | 17 | 18 | 19 | 21 | 49 | 50 | 52 => Operation::Backup,
        193..=244 => Operation::Restore,
        _ => return,
    };
    let failing = |name: &str| event.code(name).filter(|code| FailureCode::is_failing(*code));
    // The older versions of the event call the second one so.
    let detail = failing("DetailedHRESULT").or_else(|| failing("HRESULT2"));
    let outer = failing("HRESULT").or_else(|| failing("SppErrorCode"));
    // The detail is nearer to the cause, where the catalogue does not know the outer code's own.
    let known = outer
        .filter(|code| sink.binds(Product::SystemImage, operation, &FailureCode::Hresult(*code)));
    let code = known.or(detail).or(outer);
    if operation == Operation::Restore && code.is_none() {
        return;
    }
    Failed::new(Product::SystemImage, operation, code).report(event, sink);
}

/// `VSS`.
pub(super) fn shadow_copy(event: &Event, sink: &mut Sink<'_>) {
    Failed::new(Product::Vss, Operation::Snapshot, first_code(event)).report(event, sink);
}

/// `volsnap`.
pub(super) fn snapshot_driver(event: &Event, sink: &mut Sink<'_>) {
    let volume = event.field("VolumeName").or_else(|| event.unnamed(1));
    Failed::new(Product::Vss, Operation::Snapshot, None).of(volume).report(event, sink);
}

/// `System Restore`: 8193 and 8211 a restore point, 8200 to 8210 a restore. (libyal/winevt-kb,
/// srcore.dll.)
pub(super) fn restore_point(event: &Event, sink: &mut Sink<'_>) {
    let operation = match event.id {
        8194 => {
            worked(event, Product::SystemRestore, Operation::Snapshot, None, sink);
            return;
        }
        8193 | 8211 => Operation::Snapshot,
        8200..=8210 => Operation::Restore,
        _ => return,
    };
    Failed::new(Product::SystemRestore, operation, first_code(event)).report(event, sink);
}

/// `Veeam Agent` 190: a job has ended, and the level tells how.
pub(super) fn veeam(event: &Event, sink: &mut Sink<'_>) {
    let quoted = event.fields.iter().find_map(|(_, text)| text.split('\'').nth(1));
    let job = event.field("JobName").or(quoted).filter(|name| !name.is_empty());
    match event.level {
        1 | 2 => {
            let failed = Failed::new(Product::Other, Operation::Backup, first_code(event));
            failed.of(job).report(event, sink);
        }
        3 => {}
        _ => worked(event, Product::Other, Operation::Backup, job.map(str::to_owned), sink),
    }
}

/// `Microsoft-Windows-FileHistory-Engine`: errors of its channel; what it finds odd is a warning.
pub(super) fn file_history(event: &Event, sink: &mut Sink<'_>) {
    let code = event.code("ErrorCode").or_else(|| first_code(event));
    let failed = Failed::new(Product::Other, Operation::Backup, code);
    failed.of(Some("File History")).report(event, sink);
}

/// The first code that stands anywhere in the event's words.
fn first_code(event: &Event) -> Option<u32> {
    let words = event.fields.iter().map(|(_, v)| v.as_str()).collect::<Vec<_>>().join("\n");
    text::first_hresult(words.as_bytes())
}
