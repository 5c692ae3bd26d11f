//! The class of an update: one code can have other causes for a cumulative update than for a driver.
//!
//! Sources tell a class by a title, by the name of a package, or not at all; then it stays unknown
//! and the bindings that name no class hold. Titles are localised: known are the wordings of Windows
//! in English, Russian and German, and what stands in every language (KB numbers, `.NET`, the form
//! of driver titles).

use crate::words;

words! {
    /// What kind of update it is, where that decides what a failure means.
    pub enum UpdateClass ("update class") {
        /// A cumulative update of Windows, or a monthly rollup of Windows 7 and 8.1.
        Cumulative = "cumulative",
        /// .NET Framework or .NET.
        Dotnet = "dotnet",
        /// The recovery environment.
        Winre = "winre",
        /// A driver or firmware.
        Driver = "driver",
        /// Definitions, engine or platform of the antivirus.
        Definition = "definition",
        /// The servicing stack.
        ServicingStack = "servicing_stack",
        /// A feature update: another version of Windows.
        Feature = "feature",
    }
}

/// KB numbers whose titles do not say what they are, in some language or in any. Microsoft reuses the
/// first two for every update of definitions and of their platform; the others are updates of the
/// recovery environment that were offered as a plain *security update* or *update*.
const KNOWN: [(&str, UpdateClass); 9] = [
    ("KB2267602", UpdateClass::Definition),
    ("KB4052623", UpdateClass::Definition),
    ("KB5034439", UpdateClass::Winre),
    ("KB5034440", UpdateClass::Winre),
    ("KB5034441", UpdateClass::Winre),
    ("KB5042320", UpdateClass::Winre),
    ("KB5042321", UpdateClass::Winre),
    ("KB5048239", UpdateClass::Winre),
    ("KB5057589", UpdateClass::Winre),
];

/// Parts of titles in lower case, in the order in which they are looked for: a cumulative update of
/// .NET is one of .NET.
const WORDS: [(UpdateClass, &[&str]); 7] = [
    (
        UpdateClass::Dotnet,
        &[
            ".net framework",
            ".net core",
            ".net 5",
            ".net 6",
            ".net 7",
            ".net 8",
            ".net 9",
            ".net 10",
        ],
    ),
    (UpdateClass::ServicingStack, &["servicing stack", "стека обслуживания", "wartungsstapel"]),
    (
        UpdateClass::Winre,
        &[
            "windows recovery environment",
            "safe os dynamic update",
            "safe os",
            "среды восстановления windows",
            "windows-wiederherstellungsumgebung",
        ],
    ),
    (
        UpdateClass::Definition,
        &[
            "definition update",
            "security intelligence",
            "antimalware platform",
            "обновление определений",
            "определения для",
            "механизма обнаружения угроз",
            "definitionsupdate",
            "sicherheitsinformationen",
        ],
    ),
    (
        UpdateClass::Feature,
        &[
            "feature update",
            "обновление функций",
            "обновление компонентов до windows",
            "funktionsupdate",
            "upgrade to windows",
        ],
    ),
    (
        UpdateClass::Driver,
        &[
            "driver update",
            "firmware update",
            "обновление драйвера",
            "treiberupdate",
            "treiber-update",
        ],
    ),
    (
        UpdateClass::Cumulative,
        &[
            "cumulative update",
            "cumulative security update",
            "quality rollup",
            "security-only quality update",
            "security only quality update",
            "накопительное обновление",
            "набор исправлений качества",
            "kumulatives update",
            "qualitätsrollup",
        ],
    ),
];

/// Device classes that stand between vendor and version in the title of a driver.
const DEVICES: [&str; 30] = [
    "audioprocessingobject",
    "battery",
    "biometric",
    "bluetooth",
    "camera",
    "display",
    "extension",
    "firmware",
    "graphics",
    "hdc",
    "hidclass",
    "image",
    "keyboard",
    "lan",
    "media",
    "monitor",
    "mouse",
    "net",
    "other hardware",
    "ports",
    "printer",
    "processor",
    "scsiadapter",
    "securitydevices",
    "sensor",
    "smartcardreader",
    "softwarecomponent",
    "system",
    "usb",
    "video",
];

/// Names of packages, as CBS.log and the Setup channel write them.
const PACKAGES: [(&str, UpdateClass); 6] = [
    ("package_for_dotnetrollup", UpdateClass::Dotnet),
    ("package_for_rollupfix", UpdateClass::Cumulative),
    ("package_for_servicingstack", UpdateClass::ServicingStack),
    ("package_for_safeos", UpdateClass::Winre),
    ("package_for_winre", UpdateClass::Winre),
    ("microsoft-windows-netfx", UpdateClass::Dotnet),
];

impl UpdateClass {
    /// The class that a title, or any text that quotes one, tells.
    ///
    /// ```
    /// use fleetmend_core::update_class::UpdateClass;
    /// let title = "2023-05 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5026361)";
    /// assert_eq!(UpdateClass::of_title(title), Some(UpdateClass::Cumulative));
    /// ```
    pub fn of_title(title: &str) -> Option<Self> {
        let lower = title.to_lowercase();
        let known = KNOWN.iter().find(|(kb, _)| names(title, kb)).map(|(_, class)| *class);
        let told = || {
            let holds =
                |(_, words): &&(Self, &[&str])| words.iter().any(|word| lower.contains(word));
            WORDS.iter().find(holds).map(|(class, _)| *class)
        };
        let feature = || is_version(&lower).then_some(Self::Feature);
        known.or_else(told).or_else(feature).or_else(|| is_driver(&lower).then_some(Self::Driver))
    }

    /// The class that a package's name tells: `Package_for_RollupFix~31bf…`, or a KB number.
    pub fn of_package(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let named = PACKAGES.iter().find(|(start, _)| lower.starts_with(start));
        let known = || KNOWN.iter().find(|(kb, _)| names(name, kb));
        named.or_else(known).map(|(_, class)| *class)
    }
}

/// Whether the KB number stands there whole.
fn names(text: &str, kb: &str) -> bool {
    text.match_indices(kb)
        .any(|(at, _)| !text.as_bytes().get(at + kb.len()).is_some_and(u8::is_ascii_digit))
}

/// `Windows 11, version 22H2`: a version of Windows and nothing else.
fn is_version(lower: &str) -> bool {
    let rest =
        lower.strip_prefix("windows 11, version ").or(lower.strip_prefix("windows 10, version "));
    rest.is_some_and(|version| {
        version.len() <= 6 && version.bytes().all(|b| b.is_ascii_alphanumeric())
    })
}

/// `Realtek - MEDIA - 6.0.8703.1`: vendor, device class, version; no KB.
fn is_driver(lower: &str) -> bool {
    let parts: Vec<&str> = lower.split(" - ").map(str::trim).collect();
    let device = |part: &&str| {
        let first = part.split([' ', '(']).next().unwrap_or_default();
        DEVICES.contains(part) || DEVICES.contains(&first)
    };
    parts.len() >= 3 && !lower.contains("kb") && parts[1..parts.len() - 1].iter().any(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_tell_their_class_in_three_languages() {
        use UpdateClass as C;
        for (title, class) in [
            (
                "2018-07 Cumulative Update for Windows 10 Version 1803 for x64-based Systems (KB4338819)",
                Some(C::Cumulative),
            ),
            (
                "2024-01 Накопительное обновление для Windows 10 Version 22H2 для систем на базе процессоров x64 (KB5034122)",
                Some(C::Cumulative),
            ),
            (
                "2024-01 Kumulatives Update für Windows 10 Version 22H2 für x64-basierte Systeme (KB5034122)",
                Some(C::Cumulative),
            ),
            (
                "2019-03 Security Monthly Quality Rollup for Windows 7 for x64-based Systems (KB4489878)",
                Some(C::Cumulative),
            ),
            (
                "2023-04 Cumulative Update Preview for .NET Framework 3.5, 4.8 and 4.8.1 for Windows 10 Version 22H2 for x64 (KB5025367)",
                Some(C::Dotnet),
            ),
            (
                "2024-01 Накопительное обновление .NET Framework 3.5, 4.8 и 4.8.1 для Windows 10 Version 22H2 (KB5033909)",
                Some(C::Dotnet),
            ),
            (
                "2024-01 Kumulatives Update für .NET Framework 3.5 und 4.8 (KB5033909)",
                Some(C::Dotnet),
            ),
            (
                "2024-01 Security Update for Windows 10 Version 22H2 for x64-based Systems (KB5034441)",
                Some(C::Winre),
            ),
            (
                "2023-07 Servicing Stack Update for Windows Server 2016 for x64-based Systems (KB5028171)",
                Some(C::ServicingStack),
            ),
            (
                "2023-07 Обновление стека обслуживания для Windows Server 2016 (KB5028171)",
                Some(C::ServicingStack),
            ),
            (
                "2023-07 Wartungsstapelupdate für Windows Server 2016 (KB5028171)",
                Some(C::ServicingStack),
            ),
            (
                "Definition Update for Windows Defender Antivirus - KB2267602 (Definition 1.271.638.0)",
                Some(C::Definition),
            ),
            ("Microsoft Defender Antivirus - KB2267602 (Sürüm 1.421.290.0)", Some(C::Definition)),
            (
                "Обновление механизма обнаружения угроз для Microsoft Defender Antivirus",
                Some(C::Definition),
            ),
            (
                "Update for Windows Defender Antivirus antimalware platform - KB4052623 (Version 4.18.2001.10)",
                Some(C::Definition),
            ),
            ("Feature update to Windows 10, version 20H2", Some(C::Feature)),
            ("Обновление функций до Windows 10 (версия 20H2)", Some(C::Feature)),
            ("Funktionsupdate für Windows 10, Version 20H2", Some(C::Feature)),
            ("Windows 11, version 22H2", Some(C::Feature)),
            ("Realtek Semiconductor Corp. - MEDIA - 6.0.8703.1", Some(C::Driver)),
            (
                "Advanced Micro Devices, Inc. - System - 4/2/2019 12:00:00 AM - 2.0.1.0",
                Some(C::Driver),
            ),
            ("HP - Display - HP 2210 Series Wide LCD Monitor", Some(C::Driver)),
            ("Intel - LAN (Server) - 12.18.11.1", Some(C::Driver)),
            // A text that quotes the title tells as much.
            (
                "Installation Failure: Windows failed to install the following update with error 0x80070643: 2024-01 Security Update for Windows 10 Version 22H2 for x64-based Systems (KB5034441).",
                Some(C::Winre),
            ),
            // What tells nothing stays unknown.
            ("2022-11 Update for Windows 10 Version 22H2 for x64-based Systems (KB5020683)", None),
            (
                "2018-06 Security Update for Adobe Flash Player for Windows 10 Version 1803 (KB4287903)",
                None,
            ),
            ("Windows Malicious Software Removal Tool x64 - v5.113 (KB890830)", None),
            ("2024-01 Security Update (KB50344412)", None),
            ("9NBLGGH3FL3T-Microsoft.VCLibs.120.00.Universal", None),
            ("Windows 11, version 22H2 for everybody", None),
            ("one - two - three", None),
            ("", None),
        ] {
            assert_eq!(UpdateClass::of_title(title), class, "{title}");
        }
    }

    #[test]
    fn packages_tell_their_class() {
        for (name, class) in [
            (
                "Package_for_RollupFix~31bf3856ad364e35~amd64~~19041.3930.1.4",
                Some(UpdateClass::Cumulative),
            ),
            (
                "Package_for_DotNetRollup~31bf3856ad364e35~amd64~~10.0.4690.1",
                Some(UpdateClass::Dotnet),
            ),
            (
                "Package_for_ServicingStack~31bf3856ad364e35~amd64~~19041.3745.1.0",
                Some(UpdateClass::ServicingStack),
            ),
            (
                "Package_for_SafeOSDU~31bf3856ad364e35~amd64~~19041.3920.1.0",
                Some(UpdateClass::Winre),
            ),
            ("KB5034441", Some(UpdateClass::Winre)),
            ("KB4093137", None),
            ("Package_for_KB5034122~31bf3856ad364e35~amd64~~10.0.1.0", None),
        ] {
            assert_eq!(UpdateClass::of_package(name), class, "{name}");
        }
    }
}
