//! Whether permissions keep Windows out of what is its own (`check_com_permissions`, `check_spp_acl`).

use std::io;

use fleetmend_core::evidence::{Answer, Finding};
use fleetmend_core::step::Place;

use super::registry::value;
use super::security::Rights;
use super::{Found, told};
use crate::platform::{Platform, RegistryValue};
use crate::probe::{files, with_value};

const OLE: &str = r"SOFTWARE\Microsoft\Ole";
/// The machine's own limit, and what holds for servers that name no permission of their own.
const LAUNCH: [&str; 2] = ["MachineLaunchRestriction", "DefaultLaunchPermission"];
/// COM_RIGHTS_EXECUTE, _EXECUTE_LOCAL and _ACTIVATE_LOCAL (Microsoft Learn, access control lists for
/// COM).
const EXECUTE: u32 = 0x1;
const LOCAL: u32 = 0x2 | 0x8;
/// All rights that name the kind of launch: where an entry has none of them, *execute* stands for all.
const KINDS: u32 = 0x2 | 0x4 | 0x8 | 0x10;
/// The system itself, and the groups that it is in.
const SYSTEM: [&str; 4] = ["S-1-5-18", "S-1-5-32-544", EVERYONE, AUTHENTICATED];
const ADMINISTRATORS: [&str; 3] = ["S-1-5-32-544", EVERYONE, AUTHENTICATED];
const EVERYONE: &str = "S-1-1-0";
const AUTHENTICATED: &str = "S-1-5-11";
/// FILE_GENERIC_READ and FILE_GENERIC_WRITE of a folder.
const READ_AND_WRITE: u32 = 0x0012_0089 | 0x0012_0116;

pub(super) async fn com_launch(platform: &dyn Platform) -> Found {
    let mut seen = Vec::new();
    for name in LAUNCH {
        let rights = match value(platform, OLE, name).await? {
            // Windows' own default, which lets both in.
            None => continue,
            Some(RegistryValue::Binary { hex }) => {
                let bytes =
                    bytes_of(&hex).ok_or_else(|| format!(r"HKLM\{OLE}\{name}: no bytes"))?;
                Rights::read(&bytes).map_err(|why| format!(r"HKLM\{OLE}\{name}: {why}"))?
            }
            Some(_) => return Err(format!(r"HKLM\{OLE}\{name} is no security descriptor")),
        };
        for (who, sids) in [("SYSTEM", &SYSTEM[..]), ("Administrators", &ADMINISTRATORS[..])] {
            let may = rights.allow(sids, LOCAL)
                || (rights.allow(sids, EXECUTE) && !rights.names(sids, KINDS));
            if !may {
                let proof = format!(r"HKLM\{OLE}\{name} does not let {who} start a COM server");
                return Ok(with_value(Answer::Yes, proof, name));
            }
        }
        seen.push(name);
    }
    Ok(Finding::new(
        Answer::No,
        match seen.as_slice() {
            [] => format!(r"HKLM\{OLE}: the permissions to start COM servers are Windows' own"),
            names => format!(r"HKLM\{OLE}: {} let SYSTEM and Administrators in", names.join(", ")),
        },
    ))
}

pub(super) async fn acl_lacks(platform: &dyn Platform, place: &Place, sids: &[String]) -> Found {
    let path = files::path_of(platform, place)?;
    let path = format!("C:{}", path.replace('/', "\\"));
    let bytes = match platform.security(&path).await {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(format!("{path} does not exist"));
        }
        Err(e) => return Err(told(e)),
    };
    let rights = Rights::read(&bytes).map_err(|why| format!("{path}: {why}"))?;
    let mut all: Vec<&str> = sids.iter().map(String::as_str).collect();
    all.extend([EVERYONE, AUTHENTICATED]);
    let who = sids.join(", ");
    Ok(if rights.allow(&all, READ_AND_WRITE) {
        Finding::new(Answer::No, format!("{who} may read and write in {path}"))
    } else {
        with_value(Answer::Yes, format!("{who} may not read and write in {path}"), path)
    })
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    let digit = |c: char| c.to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pairs = digits.chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
