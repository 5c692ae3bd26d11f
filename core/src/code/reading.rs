//! What reading a code gives: the code with what was changed, or why not.

use std::fmt;

use serde::{Serialize, Serializer};

use super::{FailureCode, Stage};
use crate::knowledge::Lang;
use crate::report::Product;

/// The longest text that is looked at, in bytes.
pub(super) const INPUT_BYTES: usize = 1_024;

/// What was changed to read a code. Prints in words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Look-alike letters or signs became Latin ones.
    Letters,
    /// Spaces, brackets or punctuation were dropped.
    Marks,
    /// Words around the code were dropped.
    Words,
    /// `0x` was put before it.
    Prefix,
    /// Upper-case letters of a name became lower-case ones.
    LowerCase,
    /// A signed decimal number.
    Signed,
    /// An unsigned decimal number.
    Unsigned,
    /// A message number as event logs write it (`%%N`).
    MessageNumber,
    /// A Win32 error number, made an HRESULT.
    Win32(u16),
    /// 64 bits of which the upper half only repeats the sign.
    SignExtended,
    /// Leading zeros were missing.
    Padded,
    /// The code of a symbol, such as `WU_E_NO_SERVICE`.
    Symbol,
    /// The code of a sentence that a program says.
    Sentence,
    /// The exit code of a program, which means this to it alone.
    ExitOf(Product, i32),
    /// Eight digits of running text that the catalogue knows as a code.
    FromText,
    /// One zero was missing.
    ZeroAdded,
    /// One zero was too many.
    ZeroRemoved,
}

impl Change {
    /// What was changed, in words of a language.
    pub fn words(&self, lang: Lang) -> String {
        let (en, ru) = match self {
            Self::Letters => (
                "look-alike letters were replaced by Latin ones",
                "похожие буквы заменены латинскими",
            ),
            Self::Marks => (
                "spaces, brackets or punctuation were dropped",
                "отброшены пробелы, скобки или знаки препинания",
            ),
            Self::Words => {
                ("the words around the code were dropped", "отброшены слова вокруг кода")
            }
            Self::Prefix => ("0x was put before it", "впереди добавлено 0x"),
            Self::LowerCase => {
                ("capital letters were made small", "прописные буквы заменены строчными")
            }
            Self::Signed => (
                "a signed decimal number was written in hex",
                "десятичное число со знаком записано в шестнадцатеричном виде",
            ),
            Self::Unsigned => (
                "an unsigned decimal number was written in hex",
                "десятичное число без знака записано в шестнадцатеричном виде",
            ),
            Self::MessageNumber => (
                "an event log's message number (%%) was written in hex",
                "номер сообщения журнала событий (%%) записан в шестнадцатеричном виде",
            ),
            Self::Win32(code) => {
                return match lang {
                    Lang::En => format!("Win32 error {code} was written as an HRESULT"),
                    Lang::Ru => format!("ошибка Win32 {code} записана как HRESULT"),
                };
            }
            Self::SignExtended => {
                ("the upper half of 64 bits was dropped", "отброшена старшая половина 64 бит")
            }
            Self::Padded => ("leading zeros were added", "добавлены нули впереди"),
            Self::Symbol => {
                ("the code of this symbol was looked up", "код найден по символьному имени")
            }
            Self::Sentence => {
                ("the code of this sentence was looked up", "код найден по тексту сообщения")
            }
            Self::ExitOf(product, status) => {
                return match lang {
                    Lang::En => format!("what exit code {status} means to {product}"),
                    Lang::Ru => format!("что код завершения {status} значит у {product}"),
                };
            }
            Self::FromText => {
                ("digits without 0x were taken out of the text", "из текста взяты цифры без 0x")
            }
            Self::ZeroAdded => ("a missing zero was added", "добавлен пропущенный ноль"),
            Self::ZeroRemoved => ("a zero too many was removed", "убран лишний ноль"),
        };
        match lang {
            Lang::En => en,
            Lang::Ru => ru,
        }
        .to_owned()
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words(Lang::En))
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// A code as it was read from what somebody typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CodeReading {
    /// The code.
    pub code: FailureCode,
    /// What was typed.
    pub original: String,
    /// What was changed, in the order of the list in [`Change`]; empty for an exact code.
    pub changes: Vec<Change>,
    /// Whether the code is a guess to be confirmed ("did you mean"): a zero was added or removed, a
    /// small number was taken for a Win32 error, or digits of running text for a code.
    pub suggested: bool,
    /// The stage that setup prints after its code, such as `0xA001B`.
    pub stage: Option<Stage>,
    /// The product that was named beside an exit code, such as restic in "restic exit 11".
    pub product: Option<Product>,
    /// The second code of a pair, which tells why: Windows' backup programs print one.
    pub detail: Option<FailureCode>,
}

/// Why a text could not be read as a code. Each message says what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.words(Lang::En))]
pub enum Unreadable {
    /// Nothing was typed.
    Empty,
    /// More was typed than is looked at.
    TooLong,
    /// There is no code in it.
    NoCode(String),
    /// A wrong number of digits, and no single code that it may have meant.
    Length {
        /// What was typed.
        text: String,
        /// Its digits.
        digits: usize,
        /// Known codes that are one zero away.
        candidates: Vec<String>,
    },
    /// A decimal number that is no code.
    Number(String),
    /// An exit code out of range.
    Exit(String),
    /// A setup stage without its code.
    StageAlone(Stage),
    /// Several codes.
    Several(Vec<String>),
    /// The number of an update.
    Update(String),
}

const ACCEPTED: &str = "write it as 0x80070003, 80070003, -2147024893, 2147942403, exit:11 or a name such as apt.lock_held";
const ACCEPTED_RU: &str = "запишите его как 0x80070003, 80070003, -2147024893, 2147942403, exit:11 или именем, например apt.lock_held";

impl Unreadable {
    /// The message in a language.
    pub fn words(&self, lang: Lang) -> String {
        match lang {
            Lang::En => self.english(),
            Lang::Ru => self.russian(),
        }
    }

    /// Codes that may have been meant: known ones, one zero away, or those that the text holds.
    pub fn candidates(&self) -> &[String] {
        match self {
            Self::Length { candidates, .. } => candidates,
            Self::Several(codes) => codes,
            Self::Empty
            | Self::TooLong
            | Self::NoCode(_)
            | Self::Number(_)
            | Self::Exit(_)
            | Self::StageAlone(_)
            | Self::Update(_) => &[],
        }
    }

    fn english(&self) -> String {
        match self {
            Self::Empty => format!("no code was given; {ACCEPTED}"),
            Self::TooLong => {
                format!(
                    "the text is longer than {INPUT_BYTES} bytes: give the code alone; {ACCEPTED}"
                )
            }
            Self::NoCode(text) => format!("\"{text}\" holds no code; {ACCEPTED}"),
            Self::Length { text, digits, candidates } => {
                let said = format!("\"{text}\" has {digits} hex digits where a code has 8");
                if candidates.is_empty() {
                    format!("{said}; {ACCEPTED}")
                } else {
                    format!("{said}; did you mean {}?", candidates.join(" or "))
                }
            }
            Self::Number(n) => format!(
                "the number {n} is no 32-bit failure code; for a program's exit code write exit:{n}"
            ),
            Self::Exit(text) => format!(
                "\"{text}\" is not an exit code: write exit: and a whole number, such as exit:11"
            ),
            Self::StageAlone(stage) => format!(
                "{stage} is a stage of Windows setup ({}): put the result code before it, as in 0xC1900101 {stage}",
                stage.words(Lang::En)
            ),
            Self::Several(codes) => {
                format!("the text holds several codes ({}): give one", codes.join(", "))
            }
            Self::Update(kb) => format!(
                "{kb} is the number of an update, no code: give the code that it failed with; where it fails: fleetmend incidents list --kb {kb}"
            ),
        }
    }

    fn russian(&self) -> String {
        match self {
            Self::Empty => format!("код не указан; {ACCEPTED_RU}"),
            Self::TooLong => {
                format!("текст длиннее {INPUT_BYTES} байт: укажите только код; {ACCEPTED_RU}")
            }
            Self::NoCode(text) => format!("в «{text}» нет кода; {ACCEPTED_RU}"),
            Self::Length { text, digits, candidates } => {
                let said = format!("в «{text}» шестнадцатеричных цифр: {digits}, а в коде их 8");
                if candidates.is_empty() {
                    format!("{said}; {ACCEPTED_RU}")
                } else {
                    format!("{said}; возможно, это {}?", candidates.join(" или "))
                }
            }
            Self::Number(n) => format!(
                "число {n} не 32-битный код сбоя; код завершения программы пишите как exit:{n}"
            ),
            Self::Exit(text) => format!(
                "«{text}» не код завершения: напишите exit: и целое число, например exit:11"
            ),
            Self::StageAlone(stage) => format!(
                "{stage} — этап установки Windows ({}): поставьте перед ним код результата, например 0xC1900101 {stage}",
                stage.words(Lang::Ru)
            ),
            Self::Several(codes) => {
                format!("в тексте несколько кодов ({}): укажите один", codes.join(", "))
            }
            Self::Update(kb) => format!(
                "{kb} — номер обновления, а не код: укажите код, с которым оно не установилось; где оно не ставится: fleetmend incidents list --kb {kb}"
            ),
        }
    }
}
