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
    if let Some(kb) = kb(&text) {
        return Ok(see(&format!("/incidents?kb={kb}")));
    }
    // The name of a host may look like a code of our own, with its dots: the host comes first.
    let host = search(&call, &text).await?;
    if let Found::Named(id) = host {
        return Ok(see(&format!("/hosts/{id}")));
    }
    match read_code(&call, &text, "q") {
        Ok(reading) => {
            let product = call.query.word::<Product>("product")?;
            let operation = call.query.word::<Operation>("operation")?;
            let found = Some(explained(&call, reading, product, operation, p.t.0));
            html(&ExplainPage { p, found, problem: String::new(), accepted: vec![] })
        }
        Err(problem) => match host {
            Found::Named(id) | Found::One(id) => Ok(see(&format!("/hosts/{id}"))),
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

/// The number of an update, as KB5034441; Cyrillic letters that look so are taken for them.
fn kb(text: &str) -> Option<String> {
    let text = text.trim();
    let mut letters = text.chars();
    let k = letters.next().filter(|c| matches!(c, 'K' | 'k' | 'К' | 'к'));
    let b = letters.next().filter(|c| matches!(c, 'B' | 'b' | 'В' | 'в'));
    let digits = letters.as_str().trim();
    let number = (4..=9).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_digit());
    (k.is_some() && b.is_some() && number).then(|| format!("KB{digits}"))
}

#[cfg(test)]
mod tests {
    use super::kb;

    #[test]
    fn updates_are_found_by_their_number() {
        for text in ["KB5034441", "kb5034441", " Kb 5034441 ", "КВ5034441"] {
            assert_eq!(kb(text).as_deref(), Some("KB5034441"), "{text}");
        }
        for text in ["KB", "KBx", "0x80070003", "kb-server-1", "5034441"] {
            assert_eq!(kb(text), None, "{text}");
        }
    }
}
