//! Backups, shadow copies and restore points.

use fleetmend_core::report::{Operation, Product};

use super::super::event::Event;
use super::{Failed, worked};
use crate::collect::draft::Sink;
use crate::collect::text;

/// `Windows Backup` of files. 4099 is a run that was cancelled; 4106 (some files were passed over) is a
/// warning in a run that worked. 4101 to 4103 name the target.
pub(super) fn files(event: &Event, sink: &mut Sink<'_>) {
    let failed = Failed::new(Product::WindowsBackup, Operation::Backup, first_code(event));
    match event.id {
        4098 => worked(event, Product::WindowsBackup, Operation::Backup, None, sink),
        4099 => sink.cancelled(failed.draft(event)),
        4101..=4103 => failed.of(event.unnamed(0)).report(event, sink),
        _ => failed.report(event, sink),
    }
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
