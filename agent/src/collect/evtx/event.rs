//! One event, read from its rendered form by names: classic and manifest events, `EventData` and
//! `UserData`, named and unnamed fields.

use fleetmend_core::time::{SourceTime, Timestamp};
use serde_json::Value;

/// Fields kept of one event.
const FIELDS: usize = 256;

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
    let value: Value = serde_json::from_slice(json).ok()?;
    let event = value.get("Event")?;
    let system = event.get("System")?;
    let provider = system.get("Provider").map(|p| p.get("#attributes").unwrap_or(p))?;
    let named = |key: &str| provider.get(key).and_then(Value::as_str).filter(|n| !n.is_empty());
    let provider = named("Name").or_else(|| named("EventSourceName"))?.to_owned();
    let id = number(system.get("EventID")?)?;
    let level = system.get("Level").and_then(number).unwrap_or(0);
    let at = system.pointer("/TimeCreated/#attributes/SystemTime").and_then(Value::as_str);
    let at = at.and_then(millis).unwrap_or(header_ms);
    let mut fields = Vec::new();
    for part in ["EventData", "UserData"] {
        if let Some(data) = event.get(part) {
            flatten("", data, &mut fields);
        }
    }
    Some(Event {
        provider,
        id: u32::try_from(id).ok()?,
        level: u8::try_from(level).unwrap_or(0),
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

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(n) => n.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Object(map) => map.get("#text").and_then(number),
        Value::Array(items) => items.first().and_then(number),
        Value::Null | Value::Bool(_) => None,
    }
}

/// Leaves under their own element's name, in order. `Data` is the name of no field.
fn flatten(name: &str, value: &Value, fields: &mut Vec<(String, String)>) {
    if fields.len() >= FIELDS {
        return;
    }
    let mut leaf = |text: String| {
        let name = if name == "Data" { "" } else { name };
        fields.push((name.to_owned(), text));
    };
    match value {
        // A place stays a place: unnamed fields are known by their order.
        Value::Null => leaf(String::new()),
        Value::Bool(b) => leaf(b.to_string()),
        Value::Number(n) => leaf(n.to_string()),
        Value::String(text) => leaf(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| flatten(name, item, fields)),
        Value::Object(map) => {
            for (key, item) in map.iter().filter(|(key, _)| *key != "#attributes") {
                flatten(if key == "#text" { name } else { key }, item, fields);
            }
        }
    }
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
    fn codes_in_every_form() {
        for text in ["0x80070003", "2147942403", "-2147024893", "0xFFFFFFFF80070003"] {
            assert_eq!(code(text), Some(0x8007_0003), "{text}");
        }
        for bad in ["", "x", "0x", "99999999999", "0x180070003"] {
            assert_eq!(code(bad), None, "{bad}");
        }
    }
}
