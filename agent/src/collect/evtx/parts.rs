//! What is read of a rendered record, taken from its JSON as it passes by: no tree of it is built,
//! which would cost more than the rendering itself.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Fields kept of one event.
pub(super) const FIELDS: usize = 256;

/// The parts of a record that the rules look at, as they stand there.
#[derive(Debug, Default)]
pub(super) struct Parts<'de> {
    /// The provider's name.
    pub(super) name: Option<Cow<'de, str>>,
    /// The name of a classic event's source.
    pub(super) source_name: Option<Cow<'de, str>>,
    pub(super) id: Option<u64>,
    pub(super) level: Option<u64>,
    pub(super) time: Option<Cow<'de, str>>,
    /// Leaves under their own element's name, in order; `Data` is the name of no field.
    pub(super) event_data: Vec<(String, String)>,
    pub(super) user_data: Vec<(String, String)>,
}

/// Reads them; `None` where it is no JSON.
pub(super) fn read(json: &[u8]) -> Option<Parts<'_>> {
    let mut parts = Parts::default();
    let mut json = serde_json::Deserializer::from_slice(json);
    At { place: Place::Root, parts: &mut parts }.deserialize(&mut json).ok()?;
    json.end().ok()?;
    Some(parts)
}

/// Where in the record a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Event,
    System,
    Provider,
    Name,
    SourceName,
    Id,
    Level,
    Created,
    Time,
    EventData,
    UserData,
    Elsewhere,
}

impl Place {
    /// The place under a key.
    fn under(self, key: &str) -> Self {
        match (self, key) {
            (Self::Root, "Event") => Self::Event,
            (Self::Event, "System") => Self::System,
            (Self::Event, "EventData") => Self::EventData,
            (Self::Event, "UserData") => Self::UserData,
            (Self::System, "Provider") | (Self::Provider, "#attributes") => Self::Provider,
            (Self::Provider, "Name") => Self::Name,
            (Self::Provider, "EventSourceName") => Self::SourceName,
            (Self::System, "EventID") | (Self::Id, "#text") => Self::Id,
            (Self::System, "Level") | (Self::Level, "#text") => Self::Level,
            (Self::System, "TimeCreated") | (Self::Created, "#attributes") => Self::Created,
            (Self::Created, "SystemTime") => Self::Time,
            _ => Self::Elsewhere,
        }
    }
}

/// A key, not copied where none of its letters is escaped.
#[derive(Deserialize)]
struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

/// Reads the value at a place. Whatever is of another kind than expected there is passed over.
struct At<'p, 'de> {
    place: Place,
    parts: &'p mut Parts<'de>,
}

impl<'de> At<'_, 'de> {
    fn number(self, number: Option<u64>) {
        match self.place {
            Place::Id => self.parts.id = number,
            Place::Level => self.parts.level = number,
            _ => {}
        }
    }

    fn text(self, text: Cow<'de, str>) {
        match self.place {
            Place::Name => self.parts.name = Some(text),
            Place::SourceName => self.parts.source_name = Some(text),
            Place::Time => self.parts.time = Some(text),
            Place::Id | Place::Level => self.number(text.trim().parse().ok()),
            _ => {}
        }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self.place {
            Place::Elsewhere => IgnoredAny::deserialize(from).map(|_| ()),
            Place::EventData => {
                Leaves { name: "", fields: &mut self.parts.event_data }.deserialize(from)
            }
            Place::UserData => {
                Leaves { name: "", fields: &mut self.parts.user_data }.deserialize(from)
            }
            _ => from.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for At<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of an event")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<(), E> {
        self.text(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.text(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.number(Some(number));
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.number(None);
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.number(None);
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.number(None);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.number(None);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // Of several numbers the first counts.
        if matches!(self.place, Place::Id | Place::Level) {
            items.next_element_seed(self)?;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            let place = self.place.under(&key);
            map.next_value_seed(At { place, parts: self.parts })?;
        }
        Ok(())
    }
}

/// Takes the leaves of a value as fields.
struct Leaves<'n, 'f> {
    name: &'n str,
    fields: &'f mut Vec<(String, String)>,
}

impl Leaves<'_, '_> {
    fn leaf(self, text: String) {
        let name = if self.name == "Data" { "" } else { self.name };
        self.fields.push((name.to_owned(), text));
    }
}

impl<'de> DeserializeSeed<'de> for Leaves<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        if self.fields.len() >= FIELDS {
            return IgnoredAny::deserialize(from).map(|_| ());
        }
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaves<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field of an event")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.leaf(text.to_owned());
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.leaf(number.to_string());
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.leaf(number.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.leaf(serde_json::Number::from_f64(number).map_or_else(String::new, |n| n.to_string()));
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.leaf(value.to_string());
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        // A place stays a place: unnamed fields are known by their order.
        self.leaf(String::new());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Leaves { name: self.name, fields: self.fields })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Key(key)) = map.next_key()? {
            match key.as_ref() {
                "#attributes" => drop(map.next_value::<IgnoredAny>()?),
                "#text" => map.next_value_seed(Leaves { name: self.name, fields: self.fields })?,
                name => map.next_value_seed(Leaves { name, fields: self.fields })?,
            }
        }
        Ok(())
    }
}
