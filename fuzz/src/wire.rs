//! What comes over the link: orders at the agent, reports at the server.

use fleetmend_core::spool_item::SpoolItem;
use fleetmend_proto::{check_reports, decode_order, encode_order, v1};
use prost::Message as _;

/// An order's payload: what is read is written and read as the same.
pub(crate) fn order(bytes: &[u8]) {
    let Ok(order) = decode_order(bytes) else { return };
    let again = decode_order(&encode_order(&order)).expect("its own bytes are read");
    assert_eq!(again, order);
}

/// A message of reports: what the server takes of it goes back on the wire as the same.
pub(crate) fn reports(bytes: &[u8]) {
    let Ok(wire) = v1::Reports::decode(bytes) else { return };
    if check_reports(&wire).is_err() {
        return;
    }
    for item in wire.items {
        let Ok(item) = SpoolItem::try_from(item) else { continue };
        let again =
            SpoolItem::try_from(v1::SpoolItem::from(&item)).expect("its own bytes are read");
        assert_eq!(again, item);
    }
}
