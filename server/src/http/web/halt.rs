//! The halt of the fleet: whether it holds, what still runs where, and the button.

use askama::Template;

use super::{Frame, html, see};
use crate::http::api::halt::{self, HaltMarkView, HaltView};
use crate::http::call::Call;
use crate::http::route::{Answer, Param};

#[derive(Debug, Template)]
#[template(path = "halt.html")]
struct HaltPage {
    p: Frame,
    view: HaltView,
}

impl HaltPage {
    /// What one way of halting is called.
    #[expect(clippy::unused_self, reason = "templates reach it through the page")]
    fn way(&self, mark: &HaltMarkView) -> &'static str {
        if mark.way == "file" { "halt.by_file" } else { "halt.by_database" }
    }

    /// Whether the database halts it: that can be lifted here.
    fn by_database(&self) -> bool {
        self.view.by.iter().any(|mark| mark.way == "database")
    }

    /// Whether a file of the server halts it.
    fn by_file(&self) -> bool {
        self.view.by.iter().any(|mark| mark.way == "file")
    }
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    html(&HaltPage { view: halt::view(&call).await?, p: Frame::new(&call, "campaigns") })
}

/// Halts the fleet.
pub(crate) async fn stop(call: Call) -> Answer {
    let form = call.form(&[Param::one("reason", "")])?;
    halt::stop(&call, form.text("reason").unwrap_or_default()).await?;
    Ok(see("/halt"))
}

/// Lets the fleet go on.
pub(crate) async fn lift(call: Call) -> Answer {
    call.form(&[])?;
    halt::lift(&call).await?;
    Ok(see("/halt"))
}
