//! What stands under every list: how much of it is shown, the next page, and the same list as a
//! command, as a call and as a file.

use super::Frame;
use crate::http::call::Call;
use crate::http::params::encode;

/// The foot of a list; the template is `list_foot.html`, where it is called `foot`.
#[derive(Debug)]
pub(crate) struct Foot {
    /// Items on this page.
    pub(crate) shown: String,
    /// Items of the whole list.
    pub(crate) total: String,
    /// The address of the next page; empty on the last.
    pub(crate) next: String,
    /// The address of the first page; empty on it.
    pub(crate) first: String,
    /// The list as a command.
    pub(crate) cli: String,
    /// The list as a call of the interface.
    pub(crate) curl: String,
    /// The list as a file for spreadsheets.
    pub(crate) csv: String,
}

impl Foot {
    /// The foot of a list of `resource`, which has the same name as a command and in the interface.
    pub(crate) fn new(
        call: &Call,
        p: &Frame,
        resource: &str,
        (shown, total): (usize, u64),
        next: Option<String>,
    ) -> Self {
        let filter: Vec<(&str, &str)> = call
            .query
            .pairs()
            .filter(|(name, value)| !value.is_empty() && !matches!(*name, "cursor" | "lang"))
            .collect();
        // Made anew from what was understood: what stands in the address bar is not to be pasted
        // into a shell.
        let encoded: Vec<String> =
            filter.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let query = encoded.join("&");
        let with = |more: &str| {
            let joint = if query.is_empty() || more.is_empty() { "" } else { "&" };
            let all = format!("{more}{joint}{query}");
            if all.is_empty() { String::new() } else { format!("?{all}") }
        };
        let mut cli = format!("fleetmend {resource}");
        for (name, value) in &filter {
            for part in [" --", name, " ", &quoted(value)] {
                cli.push_str(part);
            }
        }
        let paged = call.query.text("cursor").is_some();
        Self {
            shown: p.t.num(shown),
            total: p.t.num(total),
            next: next
                .map(|cursor| {
                    format!("{}{}", call.raw_path, with(&format!("cursor={}", encode(&cursor))))
                })
                .unwrap_or_default(),
            first: if paged { format!("{}{}", call.raw_path, with("")) } else { String::new() },
            cli,
            curl: format!(
                "curl -H \"Authorization: Bearer $FLEETMEND_TOKEN\" \"$FLEETMEND_URL/api/v1/{resource}{}\"",
                with("")
            ),
            csv: format!("/api/v1/{resource}{}", with("format=csv-bom")),
        }
    }
}

/// A value as one word of a shell.
fn quoted(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/=@".contains(c);
    if !value.is_empty() && !value.starts_with('-') && value.chars().all(plain) {
        return value.to_owned();
    }
    let shown: String = value.chars().filter(|c| !c.is_control()).collect();
    format!("'{}'", shown.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_value_is_one_word_of_a_shell() {
        assert_eq!(quoted("0x80070003"), "0x80070003");
        assert_eq!(quoted("site=north"), "site=north");
        assert_eq!(quoted("$(reboot)"), "'$(reboot)'");
        assert_eq!(quoted("it's; x\n"), "'it'\\''s; x'");
        assert_eq!(quoted("-rf"), "'-rf'");
        assert_eq!(quoted(""), "''");
    }
}
