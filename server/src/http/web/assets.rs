//! The dashboard's own files, compiled in.

use crate::http::call::Call;
use crate::http::docs::file;
use crate::http::route::Answer;

/// The style.
pub(crate) async fn style(_call: Call) -> Answer {
    Ok(file("text/css; charset=utf-8", include_bytes!("../../../assets/style.css")))
}

/// Live updates.
pub(crate) async fn live(_call: Call) -> Answer {
    Ok(file("text/javascript; charset=utf-8", include_bytes!("../../../assets/live.js")))
}

/// The icon.
pub(crate) async fn icon(_call: Call) -> Answer {
    Ok(file("image/svg+xml", include_bytes!("../../../assets/icon.svg")))
}
