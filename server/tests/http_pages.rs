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
        ["live", "copy"]
            .map(|f| text
                .matches(&format!("<script type=\"module\" src=\"/assets/{f}.js\">"))
                .count())
            .iter()
            .sum::<usize>(),
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

/// The page of the first problem on the triage page.
async fn problem_page(site: &Site, cookie: &str) -> String {
    let triage = site.page(cookie, "/", "en").await.text;
    let (_, rest) = triage.split_once("href=\"/problems?").expect("a problem's link");
    let query = rest.split('"').next().unwrap_or_default();
    format!("/problems?{}", query.replace("&#38;", "&"))
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
        "/?since=7d".to_owned(),
        problem_page(&site, &cookie).await,
        "/problems?code=0x80070003&product=servicing&operation=install".to_owned(),
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
            for set in [
                "nav.",
                "col.",
                "triage.",
                "plan.",
                "host.",
                "incident.",
                "fact.",
                "job.",
                "problem.",
                "since.",
                "plot.",
                "lane.",
                "list.",
                "block.",
                "filter.",
                "month.",
            ] {
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
    let problem = problem_page(&site, &cookie).await;
    for lang in ["en", "ru"] {
        let page = site.page(&cookie, &problem, lang).await;
        assert_eq!(page.status, StatusCode::OK);
        insta::assert_snapshot!(format!("problem_{lang}"), main_of(&page.text));
    }
    for (name, path) in [
        ("hosts", "/hosts?search=web"),
        ("incidents", "/incidents?code=apt.dpkg_interrupted"),
        ("jobs_empty", "/jobs"),
        ("explain", "/explain?q=%D1%8580070003&product=bits"),
        ("enroll_refused", "/enroll"),
        ("login", "/login?next=/hosts"),
    ] {
        let page = site.page(&cookie, path, "en").await;
        let text = main_of(&page.text).replace(page.header("x-request-id"), "…");
        insta::assert_snapshot!(format!("{name}_en"), without_form_token(&text));
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
async fn of_an_unknown_code_the_page_tells_what_its_bits_say() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Viewer).await).await;
    for (lang, bits) in [("en", "unknown facility 0xAB"), ("ru", "0xAB")] {
        let page = main_of(&site.page(&cookie, "/explain?q=0x80ABCDEF", lang).await.text);
        assert!(page.contains("0xCDEF") && page.contains(bits), "{page}");
        assert!(!page.contains("<h2>"), "no cause is made up: {page}");
    }
    // One context that nobody narrowed is no *other* one.
    let known = site.page(&cookie, "/explain?q=0x800705B9", "en").await.text;
    assert!(known.contains("Whatever failed with it") && !known.contains("In other contexts"));
    let several = site.page(&cookie, "/explain?q=0x80070003", "en").await.text;
    assert!(several.contains("In other contexts") && !several.contains("Whatever failed with it"));
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
    // A name with dots reads as a code too.
    let dotted = site.host(2, "web-2.example.com", false, false).await;
    let found = site.page(&cookie, "/explain?q=web-2.example.com", "en").await;
    assert_eq!(found.header("location"), format!("/hosts/{dotted}"));
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

#[tokio::test]
async fn an_error_keeps_the_navigation_and_the_search_box() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Viewer).await).await;
    for path in ["/hosts/nonsense", "/no/such/page", "/enroll", "/?since=yesterday"] {
        let page = site.page(&cookie, path, "ru").await;
        assert!(page.status.is_client_error(), "{path}: {}", page.status);
        for part in ["href=\"/incidents\"", "role=\"search\"", "name=\"form_token\""] {
            assert!(page.text.contains(part), "{path} has no {part}");
        }
        let stranger = site.page("", "/no/such/page", "en").await;
        assert!(!stranger.text.contains("href=\"/incidents\""), "a stranger sees no navigation");
    }
}

#[tokio::test]
async fn an_update_is_found_from_the_search_box_and_lists_keep_their_filter() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Viewer).await).await;
    let found = site.page(&cookie, "/explain?q=%D0%9A%D0%925034441", "en").await;
    assert_eq!(found.header("location"), "/incidents?kb=KB5034441");
    site.fleet().await;
    let page = site.page(&cookie, "/incidents?cause=x&product=apt&code=%24(id)", "en").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "no code is written so");
    let page = site.page(&cookie, "/hosts?search=%24(id)%22%27&label=site%3Dnorth", "en").await;
    assert!(page.text.contains("<input type=\"hidden\" name=\"label\" value=\"site=north\">"));
    let page = site.page(&cookie, "/hosts?search=WEB&lang=en", "en").await;
    assert!(page.text.contains("fleetmend hosts --search WEB</pre>"), "{}", main_of(&page.text));
    assert!(page.text.contains("/api/v1/hosts?search=WEB&#34;</pre>"), "{}", main_of(&page.text));
}

#[tokio::test]
async fn spreadsheets_get_a_mark_and_programs_do_not() {
    let site = Site::new().await;
    let token = site.token(Role::Viewer).await;
    site.fleet().await;
    let marked = site.get(&token, "/api/v1/hosts?format=csv-bom").await;
    assert!(marked.text.starts_with("\u{feff}id,name,"), "{}", marked.text);
    let plain = site.get(&token, "/api/v1/hosts?format=csv").await;
    assert!(plain.text.starts_with("id,name,"), "{}", plain.text);
    let asked = site.get_as(&token, "/api/v1/hosts", "text/csv").await;
    assert_eq!(asked.text, plain.text);
    let bad = site.get(&token, "/api/v1/hosts?format=xls").await;
    assert_eq!(
        (bad.status, bad.problem()["field"].as_str()),
        (StatusCode::BAD_REQUEST, Some("format"))
    );
}

#[tokio::test]
async fn changes_are_told_since_the_last_visit() {
    let site = Site::new().await;
    let cookie = site.log_in(&site.token(Role::Viewer).await).await;
    site.fleet().await;
    site.clock.advance(std::time::Duration::from_mins(1));
    let visit = |page: &http_support::Answered| {
        page.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    };
    let first = site.page(&cookie, "/", "en").await;
    assert!(!first.text.contains("Since your last visit"), "there was none");
    let again = site.page(&format!("{cookie}; {}", visit(&first)), "/", "en").await;
    assert!(!again.text.contains("Since your last visit"), "it is the same visit");
    site.clock.advance(std::time::Duration::from_hours(3));
    let later = site.page(&format!("{cookie}; {}", visit(&again)), "/", "en").await;
    assert!(later.text.contains("Since your last visit"), "{}", main_of(&later.text));
    assert!(later.text.contains("0 incidents opened"), "{}", main_of(&later.text));
    let week = site.page(&cookie, "/?since=7d", "en").await;
    assert!(week.text.contains("2 incidents opened"), "{}", main_of(&week.text));
}
