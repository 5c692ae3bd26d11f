//! Whether a request that changes something comes from our own pages, or from a program.

use axum::http::{HeaderMap, header};

use super::problem::Problem;

/// Refuses what a page of another origin sends.
///
/// Browsers send `Sec-Fetch-Site` and `Origin`; programs send neither. Where a cookie speaks for
/// the caller (`by_cookie`), at least one of them must be there and be ours.
pub(crate) fn check(headers: &HeaderMap, by_cookie: bool) -> Result<(), Problem> {
    let foreign = |what: &str| {
        Problem::new(
            axum::http::StatusCode::FORBIDDEN,
            "foreign_origin",
            "Sent by another site",
            format!(
                "the request's {what} is not this server: open the dashboard itself and try again"
            ),
        )
        .field(what.to_owned())
    };
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    let site = text("sec-fetch-site");
    if site.is_some_and(|s| !matches!(s, "same-origin" | "none")) {
        return Err(foreign("Sec-Fetch-Site"));
    }
    let origin = text("origin");
    if let Some(origin) = origin {
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok());
        let theirs = origin.split_once("://").map(|(_, authority)| authority);
        if host.is_none()
            || theirs.map(str::to_ascii_lowercase) != host.map(str::to_ascii_lowercase)
        {
            return Err(foreign("Origin"));
        }
    }
    if by_cookie && site.is_none() && origin.is_none() {
        return Err(foreign("Origin"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)))
            .collect()
    }

    #[test]
    fn only_our_own_pages_and_programs_pass() {
        let ours: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "same-origin"), ("host", "a:7080"), ("origin", "http://a:7080")],
            &[("host", "A:7080"), ("origin", "http://a:7080")],
            &[("sec-fetch-site", "none")],
        ];
        for pairs in ours {
            assert!(check(&headers(pairs), true).is_ok(), "{pairs:?}");
        }
        let foreign: &[&[(&str, &str)]] = &[
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("host", "a:7080"), ("origin", "http://b:7080")],
            &[("host", "a:7080"), ("origin", "http://a:7081")],
            &[("host", "a:7080"), ("origin", "null")],
            &[("origin", "http://a:7080")],
        ];
        for pairs in foreign {
            assert!(check(&headers(pairs), false).is_err(), "{pairs:?}");
        }
        assert!(check(&headers(&[]), false).is_ok(), "a program with a bearer token");
        assert!(check(&headers(&[]), true).is_err(), "a cookie alone says nothing");
    }
}
