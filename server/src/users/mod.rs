//! People who log in by name and password: what names and passwords may be, and the work of keeping
//! passwords. Who may do what stands in `core::token`, what is stored in the store.

pub mod passwords;

use fleetmend_core::limits;
use uuid::Uuid;

use crate::enroll::token::BadWish;
use crate::entropy;

/// Letters and digits that are not mistaken for each other; 32 of them, so that each is five bits.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";

/// A name as it is stored: in lower case. Latin only, since letters of other alphabets look the same
/// in lists and in the audit log.
pub fn check_name(name: &str) -> Result<String, BadWish> {
    let name = name.trim().to_ascii_lowercase();
    let fits = (1..=limits::USER_NAME_BYTES).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@".contains(&b));
    if !fits {
        return Err(bad(
            "name",
            format!(
                "1 to {} Latin letters, digits, `.`, `_`, `-` and `@`, beginning with a letter or digit",
                limits::USER_NAME_BYTES
            ),
        ));
    }
    if Uuid::parse_str(&name).is_ok() {
        return Err(bad("name", "a name must not look like an id".to_owned()));
    }
    Ok(name)
}

/// Whether a password may be taken: long, not too long, not the name. Nothing is asked of its
/// letters: such rules make passwords worse.
pub fn check_password(name: &str, password: &str) -> Result<(), BadWish> {
    if password.len() > limits::PASSWORD_BYTES {
        return Err(bad("password", format!("at most {} bytes", limits::PASSWORD_BYTES)));
    }
    if password.chars().count() < limits::PASSWORD_CHARS {
        return Err(bad(
            "password",
            format!(
                "at least {} characters: some words that only you put together",
                limits::PASSWORD_CHARS
            ),
        ));
    }
    if password.trim().eq_ignore_ascii_case(name) {
        return Err(bad("password", "must not be the name".to_owned()));
    }
    let mut letters = password.chars();
    let first = letters.next();
    if letters.all(|c| Some(c) == first) {
        return Err(bad("password", "must not be one letter again and again".to_owned()));
    }
    Ok(())
}

/// A password for one log-in: 100 random bits that can be read out and typed.
pub fn one_time_password() -> String {
    let random = entropy::bytes::<20>();
    let mut text = String::with_capacity(23);
    for (place, byte) in random.into_iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte & 31)]));
    }
    text
}

fn bad(field: &'static str, problem: String) -> BadWish {
    BadWish { field, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_latin_and_in_lower_case() {
        assert_eq!(check_name(" Anna.K@north ").expect("taken"), "anna.k@north");
        let long = "a".repeat(65);
        let id = "01990000-0000-7000-8000-0000000000ff";
        // The fourth begins with a Cyrillic letter.
        for refused in ["", ".anna", "an na", "аnna", "a\u{202e}b", "a\nb", &long, id] {
            assert_eq!(check_name(refused).expect_err(refused).field, "name");
        }
    }

    #[test]
    fn passwords_are_long_and_nothing_else() {
        let fits = |password: &str| check_password("anna.karenina", password).is_ok();
        assert!(fits("all lower case words"));
        assert!(fits("двенадцать букв"));
        assert!(fits(&"ab".repeat(512)));
        assert!(!fits("eleven char"), "too short");
        assert!(!fits("шестьбукв"), "characters count, not bytes");
        assert!(!fits(&"ab".repeat(513)), "too long");
        assert!(!fits("Anna.Karenina"), "the name");
        assert!(!fits("aaaaaaaaaaaaaaaa"));
    }

    #[test]
    fn one_time_passwords_differ_and_are_taken() {
        let (one, two) = (one_time_password(), one_time_password());
        assert_ne!(one, two);
        assert_eq!(one.len(), 23, "{one}");
        assert!(check_password("anna", &one).is_ok());
    }
}
