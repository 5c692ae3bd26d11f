//! Query strings and forms: read strictly, so that a mistyped parameter is told and never ignored.

use std::str::FromStr;

use fleetmend_core::words::UnknownWord;

use super::problem::Problem;
use super::route::Param;

/// The parameters of a request, each known to its route.
#[derive(Debug, Default, Clone)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads `a=1&b=2`; refuses names that are not in `known`, and repeats of those that may stand
    /// once only.
    pub(crate) fn read(text: &str, known: &[Param]) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let Some(param) = known.iter().find(|p| p.name == name) else {
                let shown = fleetmend_core::words::cut(&name, 80);
                let names = known.iter().map(|p| p.name).collect::<Vec<_>>();
                let detail = if names.is_empty() {
                    format!("unknown parameter \"{shown}\": none is taken here")
                } else {
                    format!("unknown parameter \"{shown}\"; one of: {}", names.join(", "))
                };
                return Err(Problem::bad(shown, detail).accepting(names));
            };
            if value.contains('\0') {
                // Nothing that is kept holds one, and Postgres takes none.
                return Err(Problem::bad(name, "the value holds a NUL character"));
            }
            if !param.many && pairs.iter().any(|(n, _)| *n == name) {
                return Err(Problem::bad(name, "the parameter stands twice: give it once"));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// The text of a parameter; `None` where it is absent or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, v)| n == name && !v.trim().is_empty()).map(|(_, v)| v.trim())
    }

    /// Every text of a parameter that may repeat.
    pub(crate) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, v)| n == name && !v.is_empty()).map(|(_, v)| v.as_str())
    }

    /// Every name with its value, as given.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// One word of a closed set.
    pub(crate) fn word<T: FromStr<Err = UnknownWord>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| text.parse().map_err(|e: UnknownWord| Problem::from(e).field(name)))
            .transpose()
    }

    /// Anything that reads from text and says what is wrong with it.
    pub(crate) fn parse<T: FromStr>(&self, name: &str) -> Result<Option<T>, Problem>
    where
        T::Err: std::fmt::Display,
    {
        self.text(name)
            .map(|text| text.parse().map_err(|e: T::Err| Problem::bad(name, e.to_string())))
            .transpose()
    }
}

/// Decodes `%41` and `+`; refuses what is no UTF-8.
fn decode(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digit = |b: u8| char::from(b).to_digit(16).unwrap_or(0);
                bytes.push(u8::try_from(digit(*high) * 16 + digit(*low)).unwrap_or(0));
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| Problem::bad("query", "the parameters are not UTF-8: encode them again"))
}

/// Encodes a text for use as a query value.
pub(crate) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Param] = &[Param::one("a", ""), Param::many("label", "")];

    #[test]
    fn parameters_are_read_strictly() {
        let params = Params::read("a=x+y%20z&label=k%3Dv&label=w", KNOWN).expect("valid");
        assert_eq!(params.text("a"), Some("x y z"));
        assert_eq!(params.texts("label").collect::<Vec<_>>(), ["k=v", "w"]);
        let unknown = Params::read("A=1", KNOWN).expect_err("case matters");
        assert_eq!(unknown.accepted, ["a", "label"]);
        assert!(Params::read("a=1&a=2", KNOWN).is_err());
        assert!(Params::read("a=%FF", KNOWN).is_err());
        assert!(Params::read("a=x%00y", KNOWN).is_err(), "no database is asked for a NUL");
        assert_eq!(Params::read("a=%zz", KNOWN).expect("kept").text("a"), Some("%zz"));
    }

    #[test]
    fn encoding_comes_back() {
        let text = "ошибка & =0x%+";
        let read = Params::read(&format!("a={}", encode(text)), KNOWN).expect("valid");
        assert_eq!(read.text("a"), Some(text));
    }
}
