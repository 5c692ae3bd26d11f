//! The search box: a code in any spelling is explained, a host's name leads to the host.

use askama::Template;
use fleetmend_core::report::{Operation, Product};

use super::hosts::{Found, search};
use super::{Frame, html, see};
use crate::http::api::catalog::{CodeView, explained, read_code};
use crate::http::call::Call;
use crate::http::params::encode;
use crate::http::route::Answer;

#[derive(Debug, Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    p: Frame,
    found: Option<CodeView>,
    problem: String,
    accepted: Vec<String>,
}

/// The page.
pub(crate) async fn page(call: Call) -> Answer {
    let mut p = Frame::new(&call, "explain");
    let Some(text) = call.query.text("q").map(str::to_owned) else {
        return html(&ExplainPage { p, found: None, problem: String::new(), accepted: vec![] });
    };
    p.search.clone_from(&text);
    match read_code(&call, &text, "q") {
        Ok(reading) => {
            let product = call.query.word::<Product>("product")?;
            let operation = call.query.word::<Operation>("operation")?;
            let found = Some(explained(&call, reading, product, operation, p.t.0));
            html(&ExplainPage { p, found, problem: String::new(), accepted: vec![] })
        }
        Err(problem) => match search(&call, &text).await? {
            Found::One(id) => Ok(see(&format!("/hosts/{id}"))),
            Found::Many => Ok(see(&format!("/hosts?search={}", encode(&text)))),
            Found::None => html(&ExplainPage {
                p,
                found: None,
                problem: problem.detail.clone(),
                accepted: problem.accepted.clone(),
            }),
        },
    }
}
