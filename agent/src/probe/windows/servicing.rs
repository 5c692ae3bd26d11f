//! The component store and the protected files, by what CBS.log says last and by DISM's own mark.

use std::fs::File;
use std::io::Read as _;
use std::io::{Seek as _, SeekFrom};

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::step::is_build;
use fleetmend_core::time::{SourceTime, Timestamp};

use super::Found;
use super::logs::minutes_east;
use super::machine::size_of;
use crate::collect::StoreLook;
use crate::collect::lines::{Needles, Text, visit};
use crate::collect::stamp;
use crate::collect::store::{self, Last, StoreWatch};
use crate::collect::text::body;
use crate::collect::utf16::Utf8;
use crate::platform::Platform;
use crate::probe::{ask, words, yes_if};

const LOG: &str = "/Windows/Logs/CBS/CBS.log";
const DISM: &str = "/Windows/System32/Dism.exe";
/// How much of the log's end is read.
const TAIL: u64 = 64 * 1024 * 1024;
/// Looks that are kept, the last ones.
const LOOKS: usize = 4_096;
/// A clean scan is taken at its word for so long: 2 days. Later DISM's mark is asked for too.
const FRESH_MS: u64 = 2 * 86_400_000;

pub(super) async fn store_damaged(platform: &dyn Platform, now: Timestamp) -> Found {
    let looks = log(platform)?.unwrap_or_default();
    let seen = match Last::of(&looks).damaged() {
        Some((true, look)) => return Ok(Finding::new(Answer::Yes, look.told())),
        Some((false, look)) if is_fresh(platform, look, now).await => {
            return Ok(Finding::new(Answer::No, look.told()));
        }
        Some((false, look)) => look.told(),
        None => "CBS.log tells of no scan of the store".to_owned(),
    };
    let marked = marked_by_dism(platform).await.map_err(|why| format!("{seen}; {why}"))?;
    Ok(Finding::new(yes_if(marked.0), format!("{}; {seen}", marked.1)))
}

pub(super) fn sfc_unrepairable(platform: &dyn Platform) -> Found {
    let looks = log(platform)?.ok_or("there is no CBS.log")?;
    let (so, look) =
        Last::of(&looks).unrepairable().ok_or("CBS.log tells of no run of sfc to its end")?;
    Ok(Finding::new(yes_if(so), look.told()))
}

/// Whether DISM finds the store marked as damaged, in words too. That mark is left by what fails;
/// nothing is scanned for it.
async fn marked_by_dism(platform: &dyn Platform) -> Result<(bool, String), String> {
    let facts = platform.facts().map_err(|e| format!("what is this system? {e}"))?;
    // Since Windows 8 (Microsoft: Repair a Windows image); before it the option is an error.
    if ["6.0", "6.1"].iter().any(|build| is_build(&facts.os_build, build)) {
        return Err("DISM has no /CheckHealth here".to_owned());
    }
    let args = ["/English", "/Online", "/Cleanup-Image", "/CheckHealth"];
    let exit = ask(platform, DISM, &args).await?;
    let text = exit.text();
    let says = |what: &str| exit.status == Some(0) && text.contains(what);
    if says("No component store corruption detected") {
        Ok((false, "DISM /CheckHealth: no corruption is marked".to_owned()))
    } else if says("component store is repairable") || says("component store cannot be repaired") {
        Ok((true, format!("DISM /CheckHealth: {}", words(&text))))
    } else {
        Err(format!("DISM says {}", words(&text)))
    }
}

/// Whether a look is of the last days.
async fn is_fresh(platform: &dyn Platform, look: &StoreLook, now: Timestamp) -> bool {
    let (Some(wall), Ok(east)) = (look.wall_ms, minutes_east(platform).await) else { return false };
    let at = SourceTime::local(wall).to_timestamp(east);
    now.since(at).as_millis() <= u128::from(FRESH_MS)
}

/// What the end of CBS.log tells, in order; `None` where there is none.
fn log(platform: &dyn Platform) -> Result<Option<Vec<StoreLook>>, String> {
    let Some(size) = size_of(platform, LOG) else { return Ok(None) };
    let path = platform.file(LOG).ok_or("there is no CBS.log")?;
    let read = || -> std::io::Result<Vec<StoreLook>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
        let (mut watch, mut looks) = (StoreWatch::default(), Vec::new());
        let mut keep = |look| {
            if looks.len() >= LOOKS {
                looks.remove(0);
            }
            looks.push(look);
        };
        let text = Text::whole(Utf8::new(file.take(TAIL))?);
        visit(text, &Needles::new(&store::NEEDLES), stamp::comma, |line| {
            watch.line(line, body(line.bytes).text, &mut keep);
        })?;
        watch.end(&mut keep);
        Ok(looks)
    };
    read().map(Some).map_err(|e| format!("CBS.log cannot be read: {e}"))
}
