//! Which update replaces which. Only what the updates' own titles say is believed: of two monthly
//! cumulative updates of one kind for one system, the later month's holds all of the earlier one's.
//! Numbers of KBs say nothing: they are not given in order.

/// A monthly cumulative update, as its title names it: `2023-10 Cumulative Update for Windows 10 Version
/// 22H2 for x64-based Systems (KB5031356)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonthlyUpdate {
    /// Year and month.
    month: (u16, u8),
    /// What it is and for which system, in lower case.
    kind: String,
    /// Its KB.
    pub kb: String,
}

/// What makes a title that of an update which holds all earlier ones of its kind.
const CUMULATIVE: [&str; 2] = ["cumulative update", "monthly quality rollup"];

impl MonthlyUpdate {
    /// Finds one in a text; `None` where there is none, or more than one KB.
    pub fn find(text: &str) -> Option<Self> {
        let (at, month) = month_in(text)?;
        let rest = text.get(at..)?;
        let (kind, rest) = rest.split_once(" (KB")?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let closed = rest[digits.len()..].starts_with(')');
        let kind = kind.trim().to_lowercase();
        // A preview holds what its month's update held, and the next month's holds it.
        let kind = kind.replace("cumulative update preview", "cumulative update");
        let cumulative = CUMULATIVE.iter().any(|words| kind.contains(words));
        let sound = closed && (6..=8).contains(&digits.len()) && kind.len() <= 256;
        (sound && cumulative && kind.contains(" for ")).then(|| Self {
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
        let year: u16 = piece.get(..4).filter(|y| digits(y))?.parse().ok()?;
        let month: u8 = piece.get(5..7).filter(|m| digits(m))?.parse().ok()?;
        let shape = piece.as_bytes()[4] == b'-' && piece.as_bytes()[7] == b' ';
        let sound = alone && shape && (2015..2100).contains(&year) && (1..=12).contains(&month);
        sound.then_some((at + 8, (year, month)))
    })
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
            let odd: String = OCTOBER.chars().take(cut).chain(text.chars()).collect();
            let _ = MonthlyUpdate::find(&odd);
        }
    }
}
