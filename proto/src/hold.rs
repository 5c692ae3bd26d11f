//! What holds work back: the halt of the fleet, freezes, the spans of an order.

use fleetmend_core::hold::{Freeze, Halt, Interval};
use fleetmend_core::limits;
use fleetmend_core::words::cut;

use crate::convert::{ConvertError, Within as _, clean, count, time};
use crate::v1;

impl From<&Halt> for v1::Halt {
    fn from(halt: &Halt) -> Self {
        Self { on: halt.on, reason: clean(&halt.reason) }
    }
}

impl From<v1::Halt> for Halt {
    /// Infallible: a halt is not passed over because its reason is too long.
    fn from(wire: v1::Halt) -> Self {
        Self { on: wire.on, reason: cut(&clean(&wire.reason), limits::REASON_BYTES).to_owned() }
    }
}

impl From<&[Freeze]> for v1::Freezes {
    fn from(freezes: &[Freeze]) -> Self {
        let wire = |freeze: &Freeze| v1::Freeze {
            from: freeze.span.from.as_millis(),
            until: freeze.span.until.as_millis(),
            name: clean(&freeze.name),
        };
        Self { freezes: freezes.iter().map(wire).collect() }
    }
}

impl TryFrom<v1::Freezes> for Vec<Freeze> {
    type Error = ConvertError;
    fn try_from(wire: v1::Freezes) -> Result<Self, ConvertError> {
        count("freezes", wire.freezes.len(), limits::FREEZES)?;
        let freeze = |(n, freeze): (usize, v1::Freeze)| {
            let span = v1::Interval { from: freeze.from, until: freeze.until };
            Ok(Freeze {
                span: interval(span).within(&format!("freezes[{n}]"))?,
                name: cut(&clean(&freeze.name), limits::REASON_BYTES).to_owned(),
            })
        };
        wire.freezes.into_iter().enumerate().map(freeze).collect()
    }
}

pub(crate) fn wire_interval(span: &Interval) -> v1::Interval {
    v1::Interval { from: span.from.as_millis(), until: span.until.as_millis() }
}

pub(crate) fn interval(wire: v1::Interval) -> Result<Interval, ConvertError> {
    let (from, until) = (time("from", wire.from)?, time("until", wire.until)?);
    if until <= from {
        return Err(ConvertError::new("until", "is not after its beginning"));
    }
    Ok(Interval { from, until })
}

#[cfg(test)]
mod tests {
    use fleetmend_core::time::Timestamp;

    use super::*;

    #[test]
    fn halts_and_freezes_return_as_themselves() {
        let halt = Halt { on: true, reason: "a bad update".to_owned() };
        assert_eq!(Halt::from(v1::Halt::from(&halt)), halt);
        let long = Halt { on: true, reason: "é".repeat(400) };
        let read = Halt::from(v1::Halt::from(&long));
        assert!(read.on && read.reason.len() <= limits::REASON_BYTES);
        let at = Timestamp::from_millis;
        let span = Interval { from: at(1), until: at(2) };
        let freezes = vec![Freeze { span, name: "end of the quarter".to_owned() }];
        let wire = v1::Freezes::from(&freezes[..]);
        assert_eq!(Vec::<Freeze>::try_from(wire.clone()), Ok(freezes));
        let mut bad = wire.clone();
        bad.freezes[0].until = 1;
        assert_eq!(Vec::<Freeze>::try_from(bad).expect_err("empty").field, "freezes[0].until");
        let many = v1::Freezes { freezes: vec![wire.freezes[0].clone(); limits::FREEZES + 1] };
        assert!(Vec::<Freeze>::try_from(many).is_err());
    }
}
