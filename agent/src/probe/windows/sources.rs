//! Whether the place is there from which policy has Windows repaired (`check_repair_source`).

use fleetmend_core::evidence::{Answer, Finding};

use super::registry::text;
use super::{Found, told};
use crate::platform::Platform;
use crate::probe::with_value;

const POLICY: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Servicing";
const NAME: &str = "LocalSourcePath";
/// Places that are looked at.
const MOST: usize = 20;

/// Yes only where no place that policy names is there: Windows tries one after another.
pub(super) async fn missing(platform: &dyn Platform) -> Found {
    let Some(named) = text(platform, POLICY, NAME).await? else {
        let proof = format!(r"policy names no place: HKLM\{POLICY}\{NAME} is not set");
        return Ok(Finding::new(Answer::No, proof));
    };
    let head = format!(r"HKLM\{POLICY}\{NAME} = {named}");
    let places: Vec<&str> = named.split(';').map(place).filter(|p| !p.is_empty()).collect();
    if places.is_empty() || places.len() > MOST {
        return Err(format!("{head}: no list of places"));
    }
    for path in &places {
        if path.contains('%') {
            return Err(format!("{head}: a place of variables, which is not looked for"));
        }
        if platform.exists(path).await.map_err(|e| format!("{head}: {}", told(e)))? {
            return Ok(Finding::new(Answer::No, format!("{head}: {path} is there")));
        }
    }
    let proof =
        format!("{head}: {} not there", if places.len() == 1 { "that is" } else { "they are" });
    Ok(with_value(Answer::Yes, proof, places[0]))
}

/// `wim:\\server\share\install.wim:3` is that file.
fn place(text: &str) -> &str {
    let text = text.trim();
    let head = text
        .get(..4)
        .filter(|head| ["wim:", "esd:"].iter().any(|kind| head.eq_ignore_ascii_case(kind)));
    if head.is_none() {
        return text;
    }
    let rest = &text[4..];
    match rest.rsplit_once(':') {
        Some((file, index)) if index.chars().all(|c| c.is_ascii_digit()) => file,
        _ => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_the_file_that_holds_it() {
        assert_eq!(place(r" wim:\\srv\images\install.wim:3"), r"\\srv\images\install.wim");
        assert_eq!(place(r"WIM:D:\sources\install.wim:12 "), r"D:\sources\install.wim");
        assert_eq!(place(r"wim:D:\sources\install.wim"), r"D:\sources\install.wim");
        assert_eq!(place(r"\\srv\sxs"), r"\\srv\sxs");
    }
}
