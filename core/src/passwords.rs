//! Addresses in what programs print: `https://user:password@mirror/`. What leaves a host, or is shown,
//! goes without the user and the password in them.

use std::borrow::Cow;

/// The text without the user and password of any address in it: `rest:https://***@host/`.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        out.push_str(before);
        let ends = |c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace();
        let (host, after) = address.split_at(address.find(ends).unwrap_or(address.len()));
        match host.rsplit_once('@') {
            Some((_, host)) => {
                out.push_str("***@");
                out.push_str(host);
            }
            None => out.push_str(host),
        }
        rest = after;
    }
    Cow::Owned(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_addresses_are_not_told() {
        let told = without_passwords(
            "Is it at rest:https://u:hunter2@backup.example.com:8000/x or ssh://v@h?",
        );
        assert_eq!(told, "Is it at rest:https://***@backup.example.com:8000/x or ssh://***@h?");
        assert_eq!(without_passwords("a ://"), "a ://");
        assert_eq!(without_passwords("url='http://u:p@h' b@c"), "url='http://***@h' b@c");
        assert!(matches!(without_passwords("mail a@b.c"), Cow::Borrowed(_)));
    }
}
