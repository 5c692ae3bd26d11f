//! What Fleetmend's words mean, and the decisions it makes: pure data and pure functions.
//!
//! Nothing here is async, knows SQL or the wire, or looks at a clock: time and randomness are
//! parameters. Every other crate depends on this one; this one depends on none of them.

pub mod backtest;
pub mod campaign;
pub mod climb;
pub mod code;
pub mod dry_run;
pub mod efficacy;
pub mod evidence;
pub mod guided;
pub mod hold;
pub mod host;
pub mod ids;
pub mod incident;
pub mod job;
pub mod knowledge;
pub mod known;
pub mod limits;
pub mod order;
pub mod overdue;
pub mod passwords;
pub mod plan;
pub mod probe;
pub mod reason;
pub mod report;
pub mod retry;
pub mod span;
pub mod spool_item;
pub mod step;
pub mod supersede;
pub mod time;
pub mod token;
pub mod triage;
pub mod update_class;
pub mod words;

/// Implements `Display`, `FromStr`, `Serialize` and `Deserialize` for a closed set of words.
///
/// The words are part of the interface: the same in TOML, JSON, SQL, CLI and pages.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $vis:vis enum $name:ident ($what:literal) { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[$vmeta])* $variant),+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in every interface.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::words::UnknownWord::new($what, text, &[$($word),+])),
                }
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
