//! The words of the pages, English and Russian: `server/locales/*.toml`, one key a text, beside the
//! catalogue's own words. A test holds both files to the same keys, and every key of a template to
//! the files.

use std::borrow::Borrow;
use std::sync::LazyLock;

use fleetmend_catalog::words::{self, Texts};
use fleetmend_core::knowledge::Lang;
use fleetmend_core::reason::Code;
use fleetmend_core::time::Timestamp;

const EN_FILE: &str = include_str!("../../../locales/en.toml");
const RU_FILE: &str = include_str!("../../../locales/ru.toml");

static EN: LazyLock<Texts> = LazyLock::new(|| with_catalogue(Lang::En, EN_FILE));
static RU: LazyLock<Texts> = LazyLock::new(|| with_catalogue(Lang::Ru, RU_FILE));

/// The words of one language; the templates call it `t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Words(pub Lang);

impl Words {
    /// The text of a key; the key itself where there is none.
    pub(crate) fn s(self, key: &str) -> &str {
        self.texts().get(key).map_or(key, String::as_str)
    }

    /// The text of a key with `{0}` filled.
    pub(crate) fn f(self, key: &str, value: impl std::fmt::Display) -> String {
        self.s(key).replace("{0}", &value.to_string())
    }

    /// The text of a key with `{0}` and `{1}` filled.
    pub(crate) fn f2(
        self,
        key: &str,
        first: impl std::fmt::Display,
        second: impl std::fmt::Display,
    ) -> String {
        // The second first: what is filled in may itself hold braces.
        let parts: Vec<&str> = self.s(key).splitn(2, "{1}").collect();
        let second = second.to_string();
        let first = first.to_string();
        parts.iter().map(|p| p.replace("{0}", &first)).collect::<Vec<_>>().join(&second)
    }

    /// The text of a key with `{0}`, `{1}` and `{2}` filled by our own words.
    pub(crate) fn f3(
        self,
        key: &str,
        first: impl std::fmt::Display,
        second: impl std::fmt::Display,
        third: impl std::fmt::Display,
    ) -> String {
        self.f2(key, first, second).replace("{2}", &third.to_string())
    }

    /// A day, given in days since 1970-01-01, without its year: 22 Nov, 22 нояб.
    pub(crate) fn day(self, day: impl Borrow<i64>) -> String {
        let day = *day.borrow();
        self.day_of(Timestamp::from_millis(day.saturating_mul(86_400_000)))
    }

    /// The day of a moment (UTC), without its year.
    pub(crate) fn day_of(self, at: Timestamp) -> String {
        let text = at.to_string();
        let date = text.get(..10).unwrap_or_default();
        let mut parts = date.rsplit('-');
        let (day, month) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{}\u{a0}{}", day.trim_start_matches('0'), self.s(&format!("month.m{month}")))
    }

    /// A count with its noun in the right form: `{n}` stands for the number.
    pub(crate) fn n(self, key: &str, count: impl std::fmt::Display) -> String {
        let count = count.to_string().parse().unwrap_or(0);
        let form = plural(self.0, count);
        let text = self.texts().get(&format!("{key}.{form}")).map_or(key, String::as_str);
        text.replace("{n}", &self.num(count))
    }

    /// The page's word for a word of a closed set, such as `state.open`; the word itself where the
    /// language has none.
    pub(crate) fn word(self, set: &str, word: impl std::fmt::Display) -> String {
        let word = word.to_string();
        self.texts()
            .get(&format!("{set}.{word}"))
            .cloned()
            .unwrap_or_else(|| word.replace('_', " "))
    }

    /// A whole number, grouped: 12,480, in Russian with no-break spaces from five digits on.
    pub(crate) fn num(self, n: impl std::fmt::Display) -> String {
        let digits = n.to_string();
        let (separator, from) = match self.0 {
            Lang::En => (',', 4),
            Lang::Ru => ('\u{a0}', 5),
        };
        if digits.len() < from {
            return digits;
        }
        let mut out = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                out.push(separator);
            }
            out.push(digit);
        }
        out
    }

    /// A share in per cent.
    pub(crate) fn percent(self, share: impl Borrow<f64>) -> String {
        let share = *share.borrow();
        let whole = (share * 100.0).round().clamp(0.0, 100.0);
        if whole < 1.0 && share > 0.0 {
            return if self.0 == Lang::En { "<1%" } else { "<1\u{a0}%" }.to_owned();
        }
        match self.0 {
            Lang::En => format!("{whole:.0}%"),
            Lang::Ru => format!("{whole:.0}\u{a0}%"),
        }
    }

    /// A share in per cent, where there is one.
    pub(crate) fn share(self, share: impl Borrow<Option<f64>>) -> String {
        share.borrow().map(|share| self.percent(share)).unwrap_or_default()
    }

    /// Bytes in MiB, or in GiB from ten of them on.
    pub(crate) fn size(self, bytes: impl Borrow<u64>) -> String {
        let mib = bytes.borrow() / (1024 * 1024);
        let (number, unit) =
            if mib >= 10 * 1024 { (mib / 1024, "size.gib") } else { (mib, "size.mib") };
        format!("{}\u{a0}{}", self.num(number), self.s(unit))
    }

    /// How long ago, in words.
    pub(crate) fn ago(self, at: Timestamp, now: Timestamp) -> String {
        let ahead = at > now;
        let seconds = if ahead { at.since(now) } else { now.since(at) }.as_secs();
        let (key, count) = match seconds {
            0..=59 => return self.s(if ahead { "time.soon" } else { "time.now" }).to_owned(),
            60..=3_599 => ("time.minutes", seconds / 60),
            3_600..=86_399 => ("time.hours", seconds / 3_600),
            86_400..=5_183_999 => ("time.days", seconds / 86_400),
            _ => ("time.months", seconds / 2_592_000),
        };
        self.f(if ahead { "time.in" } else { "time.ago" }, self.n(key, count))
    }

    /// A moment as people of the language write it, in UTC.
    pub(crate) fn exact(self, at: Timestamp) -> String {
        let text = at.to_string();
        let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
        let clock = clock.get(..8).unwrap_or(clock);
        match self.0 {
            Lang::En => format!("{date} {clock} UTC"),
            Lang::Ru => {
                let mut parts = date.splitn(3, '-');
                let (y, m, d) = (parts.next(), parts.next(), parts.next());
                let part = |p: Option<&str>| p.unwrap_or_default().to_owned();
                format!("{}.{}.{} {clock} UTC", part(d), part(m), part(y))
            }
        }
    }

    /// The language's code, for `lang=`.
    pub(crate) fn code(self) -> &'static str {
        self.0.as_str()
    }

    fn texts(self) -> &'static Texts {
        match self.0 {
            Lang::En => &EN,
            Lang::Ru => &RU,
        }
    }
}

/// The language that a reader wants: the address, then the cookie, then the browser.
pub(crate) fn choose(asked: Option<&str>, cookie: Option<&str>, accept: Option<&str>) -> Lang {
    let named = |text: &str| text.parse::<Lang>().ok();
    if let Some(lang) = asked.and_then(named).or_else(|| cookie.and_then(named)) {
        return lang;
    }
    let mut best = (Lang::En, 0.0_f32);
    for part in accept.unwrap_or_default().split(',').take(32) {
        let (tag, quality) = part.split_once(";q=").unwrap_or((part, "1"));
        let quality = quality.trim().parse().unwrap_or(0.0);
        let primary = tag.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        if let Some(lang) = named(&primary)
            && quality > best.1
        {
            best = (lang, quality);
        }
    }
    best.0
}

/// The plural form of a count: `one`, `few` or `many`.
fn plural(lang: Lang, count: u64) -> &'static str {
    match lang {
        Lang::En if count == 1 => "one",
        Lang::En => "many",
        Lang::Ru => match (count % 10, count % 100) {
            (1, hundred) if hundred != 11 => "one",
            (2..=4, hundred) if !(12..=14).contains(&hundred) => "few",
            _ => "many",
        },
    }
}

/// The words of a file, and those of the catalogue's closed sets.
fn with_catalogue(lang: Lang, file: &str) -> Texts {
    let mut texts = words::texts(file);
    texts.extend(words::words(lang).clone());
    // Reasons have their English words with their codes.
    if lang == Lang::En {
        texts.extend(Code::ALL.iter().map(|c| (format!("reason.{c}"), c.english().to_owned())));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGS: [Words; 2] = [Words(Lang::En), Words(Lang::Ru)];

    fn is_form(key: &str, form: &str) -> bool {
        key.rsplit_once('.').is_some_and(|(_, last)| last == form)
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let plain = |texts: &Texts| -> Vec<String> {
            texts.keys().map(|k| k.trim_end_matches(".few").to_owned()).collect()
        };
        let (mut en, mut ru) = (plain(&EN), plain(&RU));
        en.dedup();
        ru.dedup();
        let missing: Vec<_> = en.iter().filter(|k| !RU.contains_key(*k)).collect();
        assert!(missing.is_empty(), "no Russian: {missing:?}");
        let missing: Vec<_> =
            RU.keys().filter(|k| !is_form(k, "few") && !EN.contains_key(*k)).collect();
        assert!(missing.is_empty(), "no English: {missing:?}");
        for key in RU.keys().filter(|k| is_form(k, "many")) {
            let few = format!("{}.few", key.trim_end_matches(".many"));
            assert!(RU.contains_key(&few), "no form for 2: {key}");
        }
        assert!(EN.len() > 100);
        let twice: Vec<_> = words::texts(EN_FILE)
            .into_keys()
            .filter(|k| words::words(Lang::En).contains_key(k))
            .collect();
        assert!(twice.is_empty(), "said by the catalogue already: {twice:?}");
    }

    /// Every file of a folder of this crate that ends so, with its text.
    fn files(folder: &str, end: &str) -> Vec<(String, String)> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let entries = std::fs::read_dir(root).expect("a folder").flatten();
        entries
            .filter(|e| e.path().to_string_lossy().ends_with(end))
            .map(|e| {
                let text = std::fs::read_to_string(e.path()).expect("readable");
                (e.file_name().to_string_lossy().into_owned(), text)
            })
            .collect()
    }

    #[test]
    fn every_key_of_the_templates_and_pages_exists() {
        let mut seen = 0;
        let mut pages = files("src/http/web", ".rs");
        pages.extend(files("src/http/web/campaigns", ".rs"));
        let pages = pages.into_iter().filter(|(name, _)| name != "i18n.rs");
        for (name, text) in files("templates", ".html").into_iter().chain(pages) {
            for (call, plural) in [
                ("t.s(\"", false),
                ("t.f(\"", false),
                ("t.f2(\"", false),
                ("t.f3(\"", false),
                ("t.n(\"", true),
            ] {
                for part in text.split(call).skip(1) {
                    let key = part.split('"').next().unwrap_or_default();
                    let key = if plural { format!("{key}.one") } else { key.to_owned() };
                    assert!(EN.contains_key(&key), "{name}: {key} is in no locale");
                    seen += 1;
                }
            }
        }
        assert!(seen > 200, "{seen} keys found: the search is broken");
        for month in 1..=12 {
            assert!(EN.contains_key(&format!("month.m{month:02}")));
        }
    }

    #[test]
    fn no_template_has_words_of_its_own() {
        // Our name, and what is the same in every language: lines to copy, examples of labels.
        const OURS: [&str; 3] = ["Fleetmend", "site=north role=web", "openapi.json"];
        for (name, text) in files("templates", ".html") {
            let text = without(&text, "{#", "#}");
            let text = without(&without(&text, "{{", "}}"), "{%", "%}");
            let text = without(&without(&text, "<pre", "</pre>"), "<code", "</code>");
            for attribute in ["title", "aria-label", "placeholder", "alt"] {
                for part in text.split(&format!(" {attribute}=\"")).skip(1) {
                    let said = part.split('"').next().unwrap_or_default();
                    assert!(OURS.contains(&said) || !has_words(said), "{name}: {attribute}={said}");
                }
            }
            let mut bare = without(&text, "<", ">");
            for ours in OURS {
                bare = bare.replace(ours, "");
            }
            let bare = bare.replace("&lt;", "").replace("&gt;", "");
            assert!(
                !has_words(&bare),
                "{name} has words of its own: {}",
                bare.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
        assert!(has_words(&without("<p>Raw {{ x }}</p>", "{{", "}}")), "the search finds words");
    }

    fn has_words(text: &str) -> bool {
        text.chars().any(char::is_alphabetic)
    }

    /// A text without what stands between two marks.
    fn without(text: &str, from: &str, to: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(from) {
            out.push_str(before);
            out.push(' ');
            rest = after.split_once(to).map_or("", |(_, rest)| rest);
        }
        out + rest
    }

    #[test]
    fn counts_take_the_right_form() {
        let [en, ru] = LANGS;
        assert_eq!(en.n("count.hosts", 1_u64), "1 host");
        assert_eq!(en.n("count.hosts", 12_480_u64), "12,480 hosts");
        let forms: Vec<String> =
            [1_u64, 2, 5, 11, 14, 21, 104, 112, 12_480].map(|n| ru.n("count.hosts", n)).to_vec();
        assert_eq!(
            forms,
            [
                "1 хост",
                "2 хоста",
                "5 хостов",
                "11 хостов",
                "14 хостов",
                "21 хост",
                "104 хоста",
                "112 хостов",
                "12\u{a0}480 хостов"
            ]
        );
    }

    #[test]
    fn times_are_told_relatively_and_exactly() {
        let [en, ru] = LANGS;
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().expect("time");
        let at: Timestamp = "2026-11-22T09:30:00Z".parse().expect("time");
        assert_eq!(en.ago(at, now), "2 hours ago");
        assert_eq!(ru.ago(at, now), "2 часа назад");
        assert_eq!(en.ago(now, at), "in 2 hours");
        assert_eq!(en.exact(at), "2026-11-22 09:30:00 UTC");
        assert_eq!(ru.exact(at), "22.11.2026 09:30:00 UTC");
        assert_eq!(en.day_of(at), "22\u{a0}Nov");
        assert_eq!(ru.day(at.day()), "22\u{a0}нояб.");
    }

    #[test]
    fn the_address_wins_over_cookie_and_browser() {
        assert_eq!(choose(Some("ru"), Some("en"), Some("en")), Lang::Ru);
        assert_eq!(choose(Some("xx"), Some("ru"), None), Lang::Ru);
        assert_eq!(choose(None, None, Some("de, ru-RU;q=0.8, en;q=0.5")), Lang::Ru);
        assert_eq!(choose(None, None, Some("ru;q=0.1,en-GB")), Lang::En);
        assert_eq!(choose(None, None, None), Lang::En);
    }

    #[test]
    fn filled_in_text_is_not_filled_again() {
        assert_eq!(Words(Lang::En).f2("{0}-{1}", "{1}", "{0}"), "{1}-{0}");
    }
}
