//! Which update replaces which. Only what the updates' own titles say is believed: of two monthly
//! cumulative updates of one kind for one system, the later month's holds all of the earlier one's.
//! Numbers of KBs say nothing: they are not given in order.
//!
//! Titles are localised. Known are those of Windows in English, German and Russian:
//! `2023-10 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5031356)`,
//! `2021-02 Kumulatives Update für Windows 10 Version 20H2 für x64-basierte Systeme (KB4601319)` and
//! `Накопительное обновление для Windows 10 Version 20H2 для систем на базе процессоров x64, 2021 02
//! (KB4601319)`. Russian rollups of Windows 7 and 8.1, German previews and all other languages are not
//! known: such updates replace nothing.

/// A monthly cumulative update, as its title names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyUpdate {
    /// Year and month.
    month: (u16, u8),
    /// What it is and for which system, in lower case.
    kind: String,
    /// Its KB.
    pub kb: String,
}

/// What makes a title that of an update which holds all earlier ones of its kind. The German ones stand
/// in the output of agents of Checkmk (the plugin `windows_patch_day` of A. Doehler, 2021 and 2024) and,
/// for rollups, in a search by title for such updates; the Russian one, with its month in front for .NET
/// and behind for Windows, in `InstallUpdates.ps1` of vaal1988/windows_desktop (2021), and for Windows
/// 10 1709 in an update history of 2017 (pastebin WdVie9Lw).
const CUMULATIVE: [&str; 5] = [
    "cumulative update",
    "monthly quality rollup",
    "kumulatives update",
    "monatliches sicherheitsqualitätsrollup",
    RUSSIAN,
];
const RUSSIAN: &str = "накопительное обновление";

/// What stands between an update and its system.
const FOR: [&str; 3] = [" for ", " für ", " для "];

impl MonthlyUpdate {
    /// Finds one in a text; `None` where there is none.
    pub fn find(text: &str) -> Option<Self> {
        let in_front = month_in(text).and_then(|(at, month)| {
            let (kind, rest) = text.get(at..)?.split_once(" (KB")?;
            Self::of(month, kind, rest)
        });
        in_front.or_else(|| {
            let (before, rest) = text.split_once(" (KB")?;
            let (title, month) = before.rsplit_once(", ")?;
            // The title alone, after what its source says before it.
            let at = title.find("Накопительное обновление")?;
            let begins = title[..at].trim_end();
            let alone = begins.is_empty() || begins.ends_with([':', '=']);
            let month = year_and_month(month, b' ').filter(|_| alone)?;
            Self::of(month, &title[at..], rest)
        })
    }

    /// One of a kind, with what follows its ` (KB`.
    fn of(month: (u16, u8), kind: &str, rest: &str) -> Option<Self> {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let closed = rest[digits.len()..].starts_with(')');
        let kind = kind.trim().to_lowercase();
        // A preview holds what its month's update held, and the next month's holds it.
        let kind = kind.replace("cumulative update preview", "cumulative update");
        let cumulative = CUMULATIVE.iter().any(|words| kind.contains(words));
        let sound = closed && (6..=8).contains(&digits.len()) && kind.len() <= 256;
        (sound && cumulative && FOR.iter().any(|word| kind.contains(word))).then(|| Self {
            month,
            kind,
            kb: format!("KB{digits}"),
        })
    }

    /// Whether it holds all that `older` holds.
    pub fn replaces(&self, older: &Self) -> bool {
        self.kind == older.kind && self.month > older.month && self.kb != older.kb
    }
}

/// The first `YYYY-MM ` of a text, and where what follows begins.
fn month_in(text: &str) -> Option<(usize, (u16, u8))> {
    let bytes = text.as_bytes();
    (0..bytes.len().saturating_sub(7)).find_map(|at| {
        let piece = text.get(at..at + 8)?;
        let alone = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let month = year_and_month(piece.strip_suffix(' ')?, b'-')?;
        alone.then_some((at + 8, month))
    })
}

/// `YYYY-MM`, with this between the two.
fn year_and_month(text: &str, between: u8) -> Option<(u16, u8)> {
    if text.len() != 7 || text.as_bytes()[4] != between {
        return None;
    }
    let year: u16 = text.get(..4).filter(|y| digits(y))?.parse().ok()?;
    let month: u8 = text.get(5..).filter(|m| digits(m))?.parse().ok()?;
    ((2015..2100).contains(&year) && (1..=12).contains(&month)).then_some((year, month))
}

fn digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> MonthlyUpdate {
        MonthlyUpdate::find(text).expect(text)
    }

    const OCTOBER: &str =
        "2023-10 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5031356)";

    #[test]
    fn a_later_month_replaces_an_earlier_one_of_the_same_kind_only() {
        let october = of(&format!("Installation Failure: error 0x80070643: {OCTOBER}"));
        assert_eq!(october.kb, "KB5031356");
        let november = of(
            "2023-11 Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5032189) (19045.3693)",
        );
        assert!(november.replaces(&october) && !october.replaces(&november));
        assert!(!october.replaces(&october));
        let preview = of(
            "2023-11 Cumulative Update Preview for Windows 10 Version 22H2 for x64-based Systems (KB5032278)",
        );
        assert!(preview.replaces(&october) && !preview.replaces(&november));
        for other in [
            "2023-11 Cumulative Update for Windows 11 Version 22H2 for x64-based Systems (KB5032190)",
            "2023-11 Cumulative Update for .NET Framework 3.5 and 4.8 for Windows 10 Version 22H2 for x64 (KB5032339)",
            "2023-11 Dynamic Cumulative Update for Windows 10 Version 22H2 for x64-based Systems (KB5032189)",
        ] {
            assert!(!of(other).replaces(&october), "{other}");
        }
    }

    #[test]
    fn german_and_russian_titles_are_read() {
        for (older, newer) in [
            (
                "2021-02 Kumulatives Update für Windows 10 Version 20H2 für x64-basierte Systeme (KB4601319)",
                "2021-09 Kumulatives Update für Windows 10 Version 20H2 für x64-basierte Systeme (KB5005565)",
            ),
            (
                "2021-02 Kumulatives Update für .NET Framework 3.5 und 4.8 für Windows 10, version 20H2 für x64 (KB4601050)",
                "2021-03 Kumulatives Update für .NET Framework 3.5 und 4.8 für Windows 10, version 20H2 für x64 (KB4601888)",
            ),
            (
                "Накопительное обновление для Windows 10 Version 20H2 для систем на базе процессоров x64, 2021 02 (KB4601319)",
                "Ошибка установки: не удалось установить следующее обновление, ошибка 0x80070643: Накопительное обновление для Windows 10 Version 20H2 для систем на базе процессоров x64, 2021 09 (KB5005565).",
            ),
            (
                "Накопительное обновление для Windows 10 Version 20H2 для систем на базе процессоров x64, 2021 02 (KB4601319)",
                "Microsoft-Windows-WindowsUpdateClient 19: 2021-09 Накопительное обновление для Windows 10 Version 20H2 для систем на базе процессоров x64 (KB5005565)",
            ),
            (
                "2021-02 Накопительное обновление .NET Framework 3.5 и 4.8 для Windows 10, version 20H2 для x64 систем (KB4601050)",
                "2021-03 Накопительное обновление .NET Framework 3.5 и 4.8 для Windows 10, version 20H2 для x64 систем (KB4601888)",
            ),
        ] {
            let (older, newer) = (of(older), of(newer));
            assert!(newer.replaces(&older) && !older.replaces(&newer), "{older:?} {newer:?}");
        }
        let one = of(
            "Накопительное обновление для Windows 10 Version 1709 для систем на базе процессоров x86, 2017 12 (KB4054517)",
        );
        let other = of(
            "Накопительное обновление для Windows 10 Version 1803 для систем на базе процессоров x86, 2018 12 (KB4471324)",
        );
        assert!(!other.replaces(&one), "another system");
        for none in [
            "Динамическое Накопительное обновление для Windows 10 для x64, 2021 02 (KB4601319)",
            "Накопительное обновление для Windows 10 для x64, 2021 13 (KB4601319)",
            "Накопительное обновление для Windows 10 для x64, май (KB4601319)",
            "Обновление для системы безопасности Windows 10 для x64, 2021 02 (KB4601319)",
        ] {
            assert_eq!(MonthlyUpdate::find(none), None, "{none}");
        }
    }

    #[test]
    fn what_says_less_replaces_nothing() {
        for text in [
            "",
            "KB5031356",
            "Security Update for Windows (KB5031356)",
            "2023-10 Security Only Quality Update for Windows 7 for x64-based Systems (KB5031356)",
            "2023-13 Cumulative Update for Windows 10 for x64-based Systems (KB5031356)",
            "2023-10 Cumulative Update for Windows 10 for x64-based Systems",
            "2023-10 Cumulative Update for Windows 10 for x64-based Systems (KB503)",
            "x2023-10 Cumulative Update for Windows 10 for x64-based Systems (KB5031356)",
        ] {
            assert_eq!(MonthlyUpdate::find(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}", cut in 0..100_usize) {
            let _ = MonthlyUpdate::find(&text);
            for title in [OCTOBER, "Накопительное обновление для x, 2021 02 (KB4601319)"] {
                let odd: String = title.chars().take(cut).chain(text.chars()).collect();
                let _ = MonthlyUpdate::find(&odd);
                let odd: String = text.chars().chain(title.chars().skip(cut)).collect();
                let _ = MonthlyUpdate::find(&odd);
            }
        }
    }
}
