//! What the bits of a 32-bit code say, for codes that no catalogue knows. Decodes; never guesses.

use serde::Serialize;

use super::{FailureCode, win32};

/// The parts of a 32-bit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decoded {
    /// Whether it says failure (bit 31).
    pub severity_failure: bool,
    /// Whether it carries an NTSTATUS: wrapped (bit 28) or bare (`0xC000....`).
    pub ntstatus: bool,
    /// Whether a vendor other than Microsoft defined it (bit 29).
    pub customer: bool,
    /// The facility, bits 26 to 16.
    pub facility: u16,
    /// What the facility is called, where known.
    pub facility_name: Option<&'static str>,
    /// The low 16 bits.
    pub code: u16,
    /// The Win32 error, for facility 7.
    pub win32: Option<u16>,
    /// The HTTP status, for facility 0x19 and for update codes that stand for one.
    pub http_status: Option<u16>,
    /// All of it in words.
    pub words: String,
}

/// Takes a code apart.
pub fn decode(value: u32) -> Decoded {
    let bit = |n: u32| value & (1 << n) != 0;
    let low = (value & 0xFFFF) as u16;
    let facility = ((value >> 16) & 0x7FF) as u16;
    let upgrade = value >> 20 == 0xC19;
    let wrapped_nt = bit(28) && !upgrade;
    let bare_nt = !wrapped_nt && value >> 16 == 0xC000;
    let name = if upgrade {
        Some("MOSETUP (Windows setup and upgrade)")
    } else if wrapped_nt || bare_nt {
        Some("NTSTATUS (the kernel)")
    } else {
        facility_name(facility, low, bit(30))
    };
    let plain = !upgrade && !wrapped_nt && !bare_nt && bit(31) && !bit(30);
    let win32 = (plain && facility == 7).then_some(low);
    let http_status = (plain && facility == 0x19).then_some(low).filter(|s| is_http(*s));
    let mut decoded = Decoded {
        severity_failure: FailureCode::is_failing(value),
        ntstatus: wrapped_nt || bare_nt,
        customer: bit(29),
        facility,
        facility_name: name,
        code: low,
        win32,
        http_status,
        words: String::new(),
    };
    decoded.words = words(value, &decoded, upgrade, wrapped_nt);
    decoded
}

const fn is_http(status: u16) -> bool {
    matches!(status, 100..=599)
}

fn words(value: u32, d: &Decoded, upgrade: bool, wrapped_nt: bool) -> String {
    let outcome = if d.severity_failure { "failure" } else { "no failure" };
    if let Some(code) = d.win32 {
        return match win32::text(code) {
            Some((symbol, text)) => format!("{outcome}: Win32 error {code} ({symbol}): {text}"),
            None => match win32::range(code) {
                Some(range) => format!("{outcome}: Win32 error {code}, of {range}"),
                None => format!("{outcome}: Win32 error {code}"),
            },
        };
    }
    if let Some(status) = d.http_status {
        return format!("{outcome}: HTTP status {status}");
    }
    if d.ntstatus {
        let status = if wrapped_nt { value & !0x1000_0000 } else { value };
        return format!("{outcome}: NTSTATUS 0x{status:08X}");
    }
    let vendor = if d.customer { ", defined by a vendor other than Microsoft" } else { "" };
    match d.facility_name {
        Some(name) if upgrade => format!("{outcome}: code 0x{:05X} of {name}", value & 0xF_FFFF),
        Some(name) => format!("{outcome}: unknown code 0x{:04X} of {name}{vendor}", d.code),
        None => format!(
            "{outcome}: code 0x{:04X} of unknown facility 0x{:X}{vendor}",
            d.code, d.facility
        ),
    }
}

/// Facilities, with the ranges in which one number is shared by several components.
const fn facility_name(facility: u16, low: u16, reserved: bool) -> Option<&'static str> {
    Some(match (facility, low) {
        (4, 0xF000..) if reserved => "software licensing",
        _ if reserved => return None,
        (0, _) => "the system itself (FACILITY_NULL)",
        (1, _) => "RPC",
        (2, _) => "COM dispatch",
        (3, _) => "COM structured storage",
        (4, 0x2300..=0x24FF) => "Volume Shadow Copy (VSS)",
        (4, 0x1000..=0x1FFF) => "WMI, or another component's own interface",
        (4, _) => "a component's own interface (FACILITY_ITF)",
        (7, _) => "Win32",
        (8, _) => "Windows (COM)",
        (9, _) => "security and cryptography",
        (0xB, _) => "certificates and trust",
        (0xF, 0x0800..=0x09FF) => "component-based servicing (CBS)",
        (0xF, _) => "device setup (SETUPAPI)",
        (0x19, _) => "HTTP",
        (0x20, _) => "BITS",
        (0x24, low) => match low >> 12 {
            0x0 => "Windows Update: agent",
            0x1 => "Windows Update: Windows Installer handler",
            0x2 => "Windows Update: update handlers",
            0x3 => "Windows Update: user interface",
            0x4 => "Windows Update: protocol and HTTP",
            0x5 => "Windows Update: redirector",
            0x6 => "Windows Update: download manager",
            0x7 => "Windows Update: offline scan and metadata",
            0x8 => "Windows Update: data store",
            0x9 => "Windows Update: inventory",
            0xA => "Windows Update: automatic updates",
            0xB => "Windows Update: metadata",
            0xC => "Windows Update: drivers",
            0xD => "Windows Update: setup of the agent itself",
            0xE => "Windows Update: applicability expressions",
            _ => "Windows Update: reporter",
        },
        (0x31, _) => "BitLocker",
        (0x50, _) => "Microsoft Defender",
        (0x78, _) => "Windows Backup engine (wbengine)",
        (0x79, _) => "Windows Backup command line",
        (0x80, _) => "Windows Backup user interface",
        (0x82, _) => "volume shadow storage (volsnap)",
        (0x87, _) => "device update agent",
        (0x88, _) => "driver servicing",
        (0xD0, _) => "Delivery Optimization",
        (0x100, 0x0000..=0x00FF) => "Windows Backup and Restore (sdclt)",
        (0x100, 0x0100..=0x01FF) => "shared protection point (SPP)",
        (0x100, 0x0200..=0x02FF) => "System Restore",
        (0x100, _) => "backup and protection (facility 0x100)",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn bits_are_taken_apart() {
        let d = decode(0x8007_0003);
        assert!(d.severity_failure && !d.ntstatus && !d.customer);
        assert_eq!((d.facility, d.win32, d.http_status), (7, Some(3), None));
        assert_eq!(d.words, "failure: Win32 error 3 (ERROR_PATH_NOT_FOUND): a path was not found");
        assert_eq!(decode(0x8019_01F7).http_status, Some(503));
        assert_eq!(decode(0x8024_0006).facility_name, Some("Windows Update: agent"));
        assert!(!decode(0x0024_0006).severity_failure);
    }

    #[test]
    fn one_number_of_several_components_is_told_apart() {
        for (value, name) in [
            (0x8004_2302, "Volume Shadow Copy (VSS)"),
            (0x8004_1004, "WMI, or another component's own interface"),
            (0x800F_081F, "component-based servicing (CBS)"),
            (0x800F_024B, "device setup (SETUPAPI)"),
            (0x8100_0037, "Windows Backup and Restore (sdclt)"),
            (0x8100_0101, "shared protection point (SPP)"),
            (0x8100_0202, "System Restore"),
            (0xC004_F012, "software licensing"),
            (0xC190_0101, "MOSETUP (Windows setup and upgrade)"),
        ] {
            assert_eq!(decode(value).facility_name, Some(name), "0x{value:08X}");
        }
    }

    #[test]
    fn kernel_codes_are_named_with_and_without_their_wrapper() {
        for value in [0xD000_0034_u32, 0xC000_0034] {
            let d = decode(value);
            assert!(d.ntstatus);
            assert_eq!(d.words, "failure: NTSTATUS 0xC0000034");
        }
        assert!(!decode(0xC190_0101).ntstatus);
    }

    #[test]
    fn what_is_not_known_stays_raw() {
        let d = decode(0x86FF_1234);
        assert_eq!(d.facility_name, None);
        assert_eq!(d.words, "failure: code 0x1234 of unknown facility 0x6FF");
        assert_eq!(
            decode(0x8007_36FF).words,
            "failure: Win32 error 14079, of side-by-side assemblies (component store)"
        );
    }
}
