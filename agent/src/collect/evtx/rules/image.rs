//! `Microsoft-Windows-Backup` (wbengine): system images and Windows Server Backup, in its own channel
//! and in the copies that it writes into the Application log. (Ids, levels and fields: the provider's
//! manifest, repnz/etw-providers-docs; texts: libyal/winevt-kb, blbevents.dll.)

use fleetmend_core::code::FailureCode;
use fleetmend_core::report::{Operation, Product};

use super::super::event::{Event, code};
use super::{Failed, worked};
use crate::collect::draft::Sink;

/// Its name.
pub(crate) const PROVIDER: &str = "Microsoft-Windows-Backup";
/// What is read at any level; other errors besides.
pub(super) const IDS: [u32; 34] = [
    2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 18, 19, 21, 25, 49, 50, 52, 146, 514, 517, 519,
    521, 522, 526, 528, 544, 545, 546, 561, 564, 658,
];

/// A run ends with one event of its own: 4 success, 5 failure, 7 with errors, 8 cancelled, 9 no shadow
/// copy, 15 and 21 policy, 17 to 19 not begun, 49, 50 and 52 the target; 25 is of one volume, 14 ends
/// every run. 2, 3 and 10 to 12 tell what was found damaged, 146 which volume is missing. 6, 16, 20 and
/// 22 wait for another run. Recoveries (193 to 245) count where they are errors. One run may be told of
/// by several of these, and by the copies in the Application log: `super::super::runs` keeps one.
pub(super) fn image(event: &Event, sink: &mut Sink<'_>) {
    let operation = match event.id {
        4 => return worked(event, Product::SystemImage, Operation::Backup, None, sink),
        8 => return cancelled(event, Operation::Backup, sink),
        197 | 212 | 217 | 228 | 245 => return cancelled(event, Operation::Restore, sink),
        2 | 3 | 10..=12 | 514 | 522 => Operation::Check,
        5
        | 7
        | 9
        | 14
        | 15
        | 17..=19
        | 21
        | 25
        | 49
        | 50
        | 52
        | 146
        | 517
        | 519
        | 521
        | 526
        | 528
        | 544..=546
        | 561
        | 564
        | 658 => Operation::Backup,
        193..=245 => Operation::Restore,
        _ => return,
    };
    let volumes = failed_volumes(event.field("VolumesInfo").unwrap_or_default());
    let code = truest(event, &volumes, operation, sink);
    // The end of a run that worked, and a recovery that did.
    if code.is_none() && (matches!(event.id, 7 | 14) || operation == Operation::Restore) {
        return;
    }
    let names = volumes.iter().map(|v| v.name.as_str()).filter(|name| !name.is_empty());
    let names: Vec<&str> = names.collect();
    let named = ["VolumeFriendlyName", "VolumeAccessPath", "FailedVolumeNames", "TargetDeviceName"]
        .iter()
        .find_map(|name| event.field(name).map(str::to_owned));
    let subject = (!names.is_empty()).then(|| names.join(", ")).or(named);
    Failed::new(Product::SystemImage, operation, code).of(subject.as_deref()).report(event, sink);
}

fn cancelled(event: &Event, operation: Operation, sink: &mut Sink<'_>) {
    let code = failing(event, "HRESULT");
    let failed = Failed::new(Product::SystemImage, operation, code);
    sink.cancelled(failed.draft(event));
}

/// The code that says most: of those of the run and of the volumes that failed in it, the outermost
/// that the catalogue knows for this operation; else the innermost, which is nearest to the cause.
fn truest(event: &Event, volumes: &[Volume], operation: Operation, sink: &Sink<'_>) -> Option<u32> {
    let outer = ["HRESULT", "SppErrorCode", "ErrorCode"];
    let outer = outer.iter().find_map(|name| failing(event, name));
    // The older versions of the event call the second one so.
    let detail = failing(event, "DetailedHRESULT").or_else(|| failing(event, "HRESULT2"));
    let own = volumes.iter().find_map(|v| v.code);
    let own_detail = volumes.iter().find_map(|v| v.detail);
    let known =
        |code: &u32| sink.binds(Product::SystemImage, operation, &FailureCode::Hresult(*code));
    let by_depth = [outer, own, detail, own_detail];
    let known = by_depth.into_iter().flatten().find(known);
    known.or_else(|| by_depth.into_iter().rev().flatten().next())
}

fn failing(event: &Event, name: &str) -> Option<u32> {
    event.code(name).filter(|code| FailureCode::is_failing(*code))
}

/// A volume that failed in a run.
#[derive(Debug, PartialEq, Eq)]
struct Volume {
    name: String,
    code: Option<u32>,
    detail: Option<u32>,
}

/// The failed ones of `VolumesInfo`: XML in a field, an element a volume, with codes as signed decimals.
fn failed_volumes(xml: &str) -> Vec<Volume> {
    let volume = |element: &str| {
        let element = element.split_once('>').map_or(element, |(own, _)| own);
        let value = |name: &str| attribute(element, name);
        let failing = |name| {
            let code = value(name).as_deref().and_then(code);
            code.filter(|code| FailureCode::is_failing(*code))
        };
        let (code, detail) = (failing("HResult"), failing("DetailedHResult"));
        let name = ["Name", "OriginalAccessPath"].into_iter().filter_map(value);
        let name = name.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
        code.or(detail).is_some().then(|| Volume { name: name.unwrap_or_default(), code, detail })
    };
    let elements = xml.split("<VolumeInfoItem ").skip(1).take(VOLUMES);
    elements.filter_map(volume).collect()
}

/// Volumes looked at in one event.
const VOLUMES: usize = 64;

/// The value of an attribute in an element's text, with the five entities of XML resolved.
fn attribute(element: &str, name: &str) -> Option<String> {
    let value = element.match_indices(name).find_map(|(at, _)| {
        let own = element[..at].ends_with(|c: char| c.is_ascii_whitespace()) || at == 0;
        let rest = element[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| own && matches!(c, '"' | '\''))?;
        rest[1..].split_once(quote).map(|(value, _)| value)
    })?;
    let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(plain.replace("&apos;", "'").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_tell_their_own_codes() {
        let xml = r#"<VolumeInfo><VolumeInfoItem Name="C:" OriginalAccessPath="C:" State="14" HResult="0" DetailedHResult="0" PreviousState="8" IsCritical="1"/><VolumeInfoItem Name="Esp &amp; &quot;x&quot;" OriginalAccessPath="" State="17" HResult="-2139619042" DetailedHResult="-2147024891" IsCritical="1" /></VolumeInfo>"#;
        let (code, detail) = (Some(0x8078_011E), Some(0x8007_0005));
        assert_eq!(failed_volumes(xml), [Volume { name: "Esp & \"x\"".to_owned(), code, detail }]);
        let unnamed = "<VolumeInfoItem DetailedHResult='-2147024891' HResult='1'>";
        let wanted = Volume { name: String::new(), code: None, detail };
        assert_eq!(failed_volumes(unnamed), [wanted]);
        for nothing in
            ["", "<VolumeInfoItem", "<VolumeInfoItem HResult=", "<VolumeInfoItem HResult=\"-1"]
        {
            assert_eq!(failed_volumes(nothing), [], "{nothing}");
        }
    }
}
