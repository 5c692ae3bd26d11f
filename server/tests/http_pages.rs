//! The pages: in both languages, without scripts, and inert whatever an agent says.

mod http_support;

use axum::http::StatusCode;
use fleetmend_core::token::Role;
use http_support::{HOSTILE, Site};

/// The part of a page that is its own.
fn main_of(text: &str) -> String {
    let (_, rest) = text.split_once("<main ").expect("a main part");
    let (main, _) = rest.split_once("</main>").expect("its end");
    let lines: Vec<&str> = main.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("<main {}", lines.join("\n"))
}

fn without_form_token(text: &str) -> String {
    let mut parts = text.split("name=\"form_token\" value=\"");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("the end of a value");
        out.push_str("name=\"form_token\" value=\"…\"");
        out.push_str(rest);
    }
    out
}

fn inert(path: &str, text: &str) {
    assert!(!text.contains("<script>alert"), "{path} runs an agent's script");
    assert!(!text.contains("<img src=x"), "{path} holds an agent's tag");
    assert!(!text.contains(HOSTILE), "{path} holds an agent's text as it is");
    assert_eq!(
        text.matches("<script").count(),
        text.matches("<script type=\"module\" src=\"/assets/live.js\">").count(),
        "{path}"
    );
    for inline in [" style=", " onclick=", " onload=", "javascript:", "<style"] {
        assert!(!text.contains(inline), "{path} holds {inline}");
    }
    for id in text.split(" id=\"").skip(1).map(|p| p.split('"').next().unwrap_or_default()) {
        let times = text.matches(&format!(" id=\"{id}\"")).count();
        assert_eq!(times, 1, "{path}: the id {id} stands {times} times");
    }
}

#[tokio::test]
async fn every_page_is_shown_in_both_languages_and_inert() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Admin).await).await;
    let (host, incident, bad_host, bad) = site.fleet().await;
    let token = site.form_token(&cookie).await;
    let order = format!(
        "form_token={token}&remediation=apt.configure_pending&max_risk=disruptive&reason=change+17"
    );
    let ordered = site.form(&cookie, &format!("/incidents/{incident}/remediate"), &order).await;
    assert_eq!(ordered.status, StatusCode::SEE_OTHER, "{}", main_of(&ordered.text));
    let job = ordered.header("location").to_owned();
    let pages = [
        "/".to_owned(),
        "/hosts".to_owned(),
        format!("/hosts/{host}"),
        format!("/hosts/{bad_host}"),
        "/incidents".to_owned(),
        format!("/incidents/{incident}"),
        format!("/incidents/{bad}"),
        "/jobs".to_owned(),
        job,
        "/explain".to_owned(),
        "/explain?q=80070003".to_owned(),
        "/explain?q=%3Cscript%3Ealert(9)%3C%2Fscript%3E".to_owned(),
        "/enroll".to_owned(),
        "/api/docs".to_owned(),
        "/login".to_owned(),
        "/hosts/nonsense".to_owned(),
    ];
    for path in &pages {
        let en = site.page(&cookie, path, "en").await;
        let ru = site.page(&cookie, path, "ru").await;
        for (page, lang) in [(&en, "en"), (&ru, "ru")] {
            assert!(page.text.contains(&format!("<html lang=\"{lang}\"")), "{path}");
            inert(path, &page.text);
        }
        assert_ne!(main_of(&en.text), main_of(&ru.text), "{path} is not translated");
        // A key that is in no locale would show itself.
        for text in [&en.text, &ru.text] {
            for set in ["nav.", "col.", "triage.", "plan.", "host.", "incident.", "fact.", "job."] {
                assert!(!text.contains(&format!(">{set}")), "{path} shows a key of {set}");
            }
        }
    }
}

#[tokio::test]
async fn the_pages_people_read_first() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Operator).await).await;
    let empty = site.page(&cookie, "/", "en").await;
    insta::assert_snapshot!("triage_empty_en", main_of(&empty.text));
    let (_, incident, bad_host, _) = site.fleet().await;
    for lang in ["en", "ru"] {
        let triage = site.page(&cookie, "/", lang).await;
        insta::assert_snapshot!(format!("triage_{lang}"), main_of(&triage.text));
        let page = site.page(&cookie, &format!("/incidents/{incident}"), lang).await;
        insta::assert_snapshot!(
            format!("incident_{lang}"),
            without_form_token(&main_of(&page.text))
        );
    }
    let host = site.page(&cookie, &format!("/hosts/{bad_host}"), "en").await;
    assert!(host.text.contains("badge simulated"), "simulated hosts say so");
    insta::assert_snapshot!("host_hostile_en", without_form_token(&main_of(&host.text)));
    let none = site.page(&cookie, "/jobs/01990000-0000-7000-8000-0000000000ff", "en").await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let id = none.header("x-request-id");
    assert!(id.len() == 36 && none.text.contains(id), "the page names its id");
}

#[tokio::test]
async fn the_language_is_remembered() {
    let site = Site::new().await;
    let page = site.page("", "/login?lang=ru", "en").await;
    assert!(page.text.contains("<html lang=\"ru\""));
    assert!(page.header("set-cookie").starts_with("lang=ru;"));
    let next = site.page("lang=ru", "/login", "en").await;
    assert!(next.text.contains("<html lang=\"ru\""));
}

#[tokio::test]
async fn hosts_are_found_from_the_search_box() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Viewer).await).await;
    let host = site.host(1, "web-1", false, false).await;
    let found = site.page(&cookie, "/explain?q=WEB-1", "en").await;
    assert_eq!(found.header("location"), format!("/hosts/{host}"));
}

#[tokio::test]
async fn a_token_made_on_the_page_is_shown_once_with_its_line() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Admin).await).await;
    let token = site.form_token(&cookie).await;
    let fields =
        format!("form_token={token}&name=first&uses=1&hours=1&labels=site%3Dnorth&networks=");
    let made = site.form(&cookie, "/enroll", &fields).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    assert!(made.text.contains("fleetmend-agent enroll --server fleet.test:7443 --token fme_"));
    let again = site.page(&cookie, "/enroll", "en").await;
    assert!(!again.text.contains("fme_") && again.text.contains("first"));
}
