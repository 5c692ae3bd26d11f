//! `/api/v1/reports`: failure reports.

use fleetmend_core::ids::{HostId, IncidentId};
use fleetmend_core::report::{Kind, Operation, Product};
use fleetmend_core::time::Timestamp;
use fleetmend_store::{Page, ReportFilter};

use super::code;
use super::model::ReportView;
use crate::http::call::Call;
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("id", "/id"),
    ("host", "/host/name"),
    ("host_id", "/host/id"),
    ("simulated", "/host/simulated"),
    ("incident", "/incident"),
    ("at", "/at"),
    ("product", "/product"),
    ("operation", "/operation"),
    ("code", "/code"),
    ("symbol", "/symbol"),
    ("kind", "/kind"),
    ("subject", "/subject"),
    ("source", "/source"),
    ("provider", "/provider"),
    ("event_id", "/event_id"),
    ("record_id", "/record_id"),
    ("line", "/line"),
    ("message", "/message"),
    ("received_at", "/received_at"),
];

/// Lists failure reports, newest first.
pub(crate) async fn list(call: Call) -> Answer {
    let filter = ReportFilter {
        host: call.query.parse::<HostId>("host")?,
        incident: call.query.parse::<IncidentId>("incident")?,
        product: call.query.word::<Product>("product")?,
        operation: call.query.word::<Operation>("operation")?,
        code: code(&call)?,
        kind: call.query.word::<Kind>("kind")?,
        subject: call.query.text("kb").map(str::to_owned),
        since: call.query.parse::<Timestamp>("since")?,
    };
    paging::list(call, COLUMNS, filter, |call, filter, page| async move {
        let page = call.db().reports(&filter, &page).await?;
        let items = page.items.into_iter().map(ReportView::from).collect();
        Ok(Page { items, next: page.next, total: page.total })
    })
    .await
}
