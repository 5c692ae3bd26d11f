//! One event, read from its rendered form by names: classic and manifest events, `EventData` and
//! `UserData`, named and unnamed fields.

use fleetmend_core::time::{SourceTime, Timestamp};

use super::parts::{self, FIELDS};

/// What the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// The provider, as the record writes it.
    pub provider: String,
    /// The event id, without qualifiers.
    pub id: u32,
    /// 1 critical, 2 error, 3 warning, 4 information, 0 always.
    pub level: u8,
    /// The record's id.
    pub record: u64,
    /// When.
    pub time: SourceTime,
    /// Fields in order; an unnamed one has an empty name.
    pub fields: Vec<(String, String)>,
}

impl Event {
    /// The first field of that name that is not empty.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(n, v)| n == name && !v.trim().is_empty());
        found.next().map(|(_, v)| v.trim())
    }

    /// The unnamed field at a place.
    pub(crate) fn unnamed(&self, at: usize) -> Option<&str> {
        let mut unnamed = self.fields.iter().filter(|(n, _)| n.is_empty());
        unnamed.nth(at).map(|(_, v)| v.trim()).filter(|v| !v.is_empty())
    }

    /// A field as a 32-bit code: `0x` and hex digits, or a decimal, signed or not.
    pub(crate) fn code(&self, name: &str) -> Option<u32> {
        self.field(name).and_then(code)
    }

    /// All fields in one line.
    pub(crate) fn words(&self) -> String {
        let mut words = format!("{} {}:", self.provider, self.id);
        for (name, value) in self.fields.iter().filter(|(_, v)| !v.is_empty()) {
            let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
            let equals = if name.is_empty() { "" } else { "=" };
            words.extend([" ", name, equals, &value, ";"]);
        }
        words
    }
}

/// What tells whether a record can be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) provider: &'a str,
    pub(crate) id: u32,
    pub(crate) level: u8,
}

/// Reads a rendered record. `header_ms` is the time in the record's header.
pub(crate) fn read(record: u64, header_ms: i64, json: &[u8]) -> Option<Event> {
    let parts = parts::read(json)?;
    let provider = parts.name.filter(|n| !n.is_empty());
    let provider = provider.or_else(|| parts.source_name.filter(|n| !n.is_empty()))?;
    let at = parts.time.and_then(|text| millis(&text)).unwrap_or(header_ms);
    let mut fields = parts.event_data;
    fields.extend(parts.user_data);
    fields.truncate(FIELDS);
    Some(Event {
        provider: provider.into_owned(),
        id: u32::try_from(parts.id?).ok()?,
        level: parts.level.and_then(|level| u8::try_from(level).ok()).unwrap_or(0),
        record,
        time: SourceTime::utc(Timestamp::from_millis(at)),
        fields,
    })
}

/// `0x8024001e`, `2149580817`, `-2147024893`.
pub(crate) fn code(text: &str) -> Option<u32> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // A 64-bit rendering of a negative code fills the upper half with ones.
        let low = hex.strip_prefix("ffffffff").or_else(|| hex.strip_prefix("FFFFFFFF"));
        let digits = low.filter(|rest| rest.len() == 8).unwrap_or(hex);
        return u32::from_str_radix(digits, 16).ok();
    }
    let value: i64 = text.parse().ok()?;
    match i32::try_from(value) {
        Ok(signed) => Some(signed.cast_unsigned()),
        Err(_) => u32::try_from(value).ok(),
    }
}

/// RFC 3339 with any number of digits after the point, cut to milliseconds.
fn millis(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_shapes_are_read() {
        let json = br##"{"Event":{"System":{"Provider":{"#attributes":{"EventSourceName":"VSS"}},
            "EventID":{"#attributes":{"Qualifiers":49158},"#text":36},"Level":"2",
            "TimeCreated":{"#attributes":{"SystemTime":"2012-03-21T04:21:17.7589999Z"}}},
            "EventData":{"Data":{"#text":["a",null,"c"]},"Binary":"00"},
            "UserData":{"X":{"#attributes":{"xmlns":"y"},"ErrorCode":"0x0"}}}}"##;
        let event = read(7, 0, json).expect("an event");
        assert_eq!((event.provider.as_str(), event.id, event.level), ("VSS", 36, 2));
        assert_eq!(event.time.to_string(), "2012-03-21T04:21:17.758Z");
        assert_eq!((event.unnamed(1), event.unnamed(2)), (None, Some("c")));
        assert_eq!(event.code("ErrorCode"), Some(0));
        let json =
            br#"{"Event":{"System":{"Provider":{"Name":"p"},"EventID":1},"EventData":null}}"#;
        let event = read(7, 5, json).expect("an event");
        assert_eq!(event.time.to_string(), "1970-01-01T00:00:00.005Z");
        for bad in [
            "",
            "{}",
            r#"{"Event":{"System":{}}}"#,
            r#"{"Event":{"System":{"Provider":{"Name":"x"},"EventID":-1}}}"#,
        ] {
            assert_eq!(read(1, 0, bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn what_is_of_another_kind_than_expected_is_passed_over() {
        let json = |system: &str, rest: &str| {
            let provider = r##""Provider":{"#attributes":{"Name":"p","Guid":{"x":[1]}}}"##;
            format!(r#"{{"x":[{{}}],"Event":{{"System":{{{provider},{system}}}{rest}}},"y":null}}"#)
        };
        let read = |system: &str, rest: &str| read(7, 5, json(system, rest).as_bytes());
        for id in ["12", "\"12\"", "[12,13]", r##"{"#attributes":{"Qualifiers":3},"#text":"12"}"##]
        {
            assert_eq!(read(&format!(r#""EventID":{id}"#), "").expect("an event").id, 12, "{id}");
        }
        for id in ["null", "true", "-1", "1.5", "\"x\"", "{}", "[]", "[null,1]", "4294967296"] {
            assert_eq!(read(&format!(r#""EventID":{id}"#), ""), None, "{id}");
        }
        for time in ["null", "7", "\"x\"", r##"{"#attributes":{"SystemTime":7}}"##] {
            let system = format!(r#""EventID":1,"TimeCreated":{time},"Level":null"#);
            let event = read(&system, "").expect("an event");
            assert_eq!(
                (event.level, event.time.to_string().as_str()),
                (0, "1970-01-01T00:00:00.005Z")
            );
        }
        let data = r##","UserData":{"Z":"last"},"EventData":{"a\u0041":[1,-2,1.5,true,null],
            "B":{"#attributes":{"Name":"C"},"#text":"x","D":{"E":""}}}"##;
        let event = read(r#""EventID":1"#, data).expect("an event");
        let fields: Vec<_> = event.fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let first = [("aA", "1"), ("aA", "-2"), ("aA", "1.5"), ("aA", "true"), ("aA", "")];
        let then = [("B", "x"), ("E", ""), ("Z", "last")];
        assert_eq!(fields, [&first[..], &then[..]].concat());
        for cut in ["", "}", ",", "x"] {
            let whole = json(r#""EventID":1"#, data);
            let broken = format!("{}{cut}", &whole[..whole.len() - 1]);
            assert_eq!(super::read(7, 5, broken.as_bytes()).is_some(), cut == "}", "{cut}");
        }
    }

    #[test]
    fn no_more_fields_are_kept_than_the_bound() {
        let many = format!("[{}]", vec!["1"; FIELDS + 50].join(","));
        let json = format!(
            r#"{{"Event":{{"System":{{"Provider":{{"Name":"p"}},"EventID":1}},
            "UserData":{{"b":{many},"c":{many}}},"EventData":{{"Data":"first","d":{{"e":{many}}}}}}}}}"#
        );
        let event = read(1, 0, json.as_bytes()).expect("an event");
        assert_eq!(event.fields.len(), FIELDS);
        assert_eq!(event.unnamed(0), Some("first"));
        assert!(event.fields[1..].iter().all(|(name, _)| name == "e"));
    }

    #[test]
    fn codes_in_every_form() {
        for text in ["0x80070003", "2147942403", "-2147024893", "0xFFFFFFFF80070003"] {
            assert_eq!(code(text), Some(0x8007_0003), "{text}");
        }
        for bad in ["", "x", "0x", "99999999999", "0x180070003"] {
            assert_eq!(code(bad), None, "{bad}");
        }
    }
}
