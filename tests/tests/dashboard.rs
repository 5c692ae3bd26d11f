//! The dashboard in a real browser, over the demo: log in, see what is broken, order a repair on a
//! simulated host, watch it, see it proved. In both languages, light and dark, wide and narrow.
//!
//! With `FLEETMEND_SCREENSHOTS=DIR` the pictures are kept there.

use fleetmend_tests::browser::Browser;
use fleetmend_tests::demo::{Demo, keep};
use fleetmend_tests::{PATIENCE, wait_for};

/// A demo of few hosts.
fn demo() -> Demo {
    Demo::start(12)
}

#[test]
fn an_admin_sees_orders_and_gets_proof() {
    let Some(browser) = Browser::open(1440, 900, "en", false) else { return };
    let demo = demo();
    demo.log_in(&browser, "apt.dpkg_interrupted");
    // What is broken, and how sure.
    browser.wait_text("apt.dpkg_interrupted");
    browser.wait_text("0x80070003");
    browser.wait_text("0x800F081F");
    keep(&browser, &demo.picture("triage"));

    browser.go(&format!("{}/hosts", demo.address));
    browser.wait_text("sim-srv-lis-0005.example.com");
    assert!(browser.text().contains("simulated"), "simulated hosts are labelled");
    keep(&browser, &demo.picture("hosts"));

    browser.go(&format!("{}/explain?q=%D1%8580070003", demo.address));
    // Not the spelling that an error would offer: what the code means.
    browser.wait_text("ERROR_PATH_NOT_FOUND");
    keep(&browser, &demo.picture("explain"));

    // One incident: its verdict, its evidence, its plan; and the order.
    browser.go(&format!("{}/incidents?code=apt.dpkg_interrupted", demo.address));
    let incident = browser.eval(
        "return [...document.querySelectorAll('tr')].find(r => r.innerText.includes('sim-srv-lis-0005'))?.querySelector('a[href^=\"/incidents/\"]')?.href",
    );
    let incident = incident.as_str().expect("an incident of that host").to_owned();
    browser.go(&incident);
    browser.wait_text("dpkg --force-confdef --force-confold --configure -a");
    keep(&browser, &demo.picture("incident"));
    browser.type_into("input[name=reason]", "shown in the demo");
    browser.click("form[action$='/remediate'] button");
    // The page follows the job by itself, to its proof.
    browser.wait_text("example-app is configured");
    browser.wait_text("fixed");
    // What can no more be cancelled is no more offered, without a reload.
    wait_for("the end of the offer to cancel", PATIENCE, || {
        if browser.text().contains("Cancel…") {
            Err("it still stands".to_owned())
        } else {
            Ok(())
        }
    });
    assert!(browser.eval("return location.pathname").to_string().contains("/jobs/"));
    keep(&browser, &demo.picture("job"));

    let host = browser.eval("return document.querySelector('a[href^=\"/hosts/\"]').href");
    browser.go(host.as_str().expect("the host's page"));
    browser.wait_text("sim-srv-lis-0005.example.com");
    keep(&browser, &demo.picture("host"));
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
}

/// The pages, by name; what begins with `js:` is found on another page.
fn pages(browser: &Browser, address: &str) -> Vec<(&'static str, String)> {
    let found = |page: &str, css: &str| {
        browser.go(&format!("{address}{page}"));
        browser.wait_text("sim-");
        let link = browser.eval(&format!("return document.querySelector(\"{css}\")?.pathname + (document.querySelector(\"{css}\")?.search ?? '')"));
        link.as_str().unwrap_or_else(|| panic!("no {css} on {page}")).to_owned()
    };
    let host = found("/hosts?search=0002", "td.name a");
    let incident = found("/incidents?code=0x80070003", "a[href^='/incidents/']");
    browser.go(address);
    browser.wait_text("0x80070003");
    let problem =
        browser.eval("const a = document.querySelector('td.why a'); return a.pathname + a.search");
    vec![
        ("triage", "/".to_owned()),
        ("problem", problem.as_str().expect("a problem's page").to_owned()),
        ("hosts", "/hosts".to_owned()),
        ("host", host),
        ("incidents", "/incidents".to_owned()),
        ("incident", incident),
        ("jobs-empty", "/jobs?state=failed".to_owned()),
        ("explain", "/explain?q=0x80070003".to_owned()),
        ("enroll", "/enroll".to_owned()),
        ("docs", "/api/docs".to_owned()),
        ("error", "/hosts/nonsense".to_owned()),
    ]
}

/// A host's name of 60 letters, an update's title of 200, a cause's name of 120.
const LONG: &str = "
    for (const a of document.querySelectorAll('.name a')) a.textContent = 'host-with-a-name-of-sixty-letters-in-a-domain-far.example.com';
    for (const e of document.querySelectorAll('.subject')) e.textContent = 'Cumulative update KB5034441 '.repeat(7) + 'x'.repeat(60);
    for (const a of document.querySelectorAll('td.why a, h1, h3')) a.textContent = 'a cause of many words '.repeat(5) + 'y'.repeat(60);
    return 0";

#[test]
fn the_pages_hold_in_russian_dark_and_narrow() {
    let Some(dark) = Browser::open(1440, 900, "ru", true) else { return };
    let demo = demo();
    demo.log_in(&dark, "0x80070003");
    assert_eq!(dark.eval("return document.documentElement.lang"), "ru");
    for (name, path) in pages(&dark, &demo.address) {
        dark.go(&format!("{}{path}", demo.address));
        dark.wait_text("Что сломано");
        assert!(dark.too_wide() <= 0, "{name} is {} px too wide", dark.too_wide());
        dark.long_screenshot(&demo.picture(&format!("{name}-ru-dark")));
    }
    drop(dark);
    let Some(phone) = Browser::open(500, 900, "en", false) else { return };
    phone.resize(390, 844);
    demo.log_in(&phone, "apt.dpkg_interrupted");
    let all = pages(&phone, &demo.address);
    for (name, path) in &all {
        phone.go(&format!("{}{path}", demo.address));
        phone.wait_text("Pages");
        assert!(phone.too_wide() <= 0, "{name} is {} px too wide", phone.too_wide());
        phone.long_screenshot(&demo.picture(&format!("{name}-phone")));
        phone.eval(LONG);
        assert!(
            phone.too_wide() <= 0,
            "{name} with long names is {} px too wide",
            phone.too_wide()
        );
    }
    // The menu is folded, and unfolds.
    let shown = "return document.querySelector('.places').checkVisibility()";
    assert_eq!(phone.eval(shown), false);
    phone.click(".menu summary");
    assert_eq!(phone.eval(shown), true);
    phone.resize(1440, 900);
    for (name, path) in &all {
        phone.go(&format!("{}{path}", demo.address));
        phone.eval(LONG);
        assert!(phone.too_wide() <= 0, "{name} wide, with long names, is too wide");
        phone.long_screenshot(&demo.picture(&format!("{name}-long")));
    }
    // The one complaint is about the page that is an error.
    let complaints: Vec<String> =
        phone.complaints().into_iter().filter(|c| !c.contains("/hosts/nonsense")).collect();
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
}

#[test]
fn lists_change_in_place_and_every_page_works_without_scripts() {
    let Some(browser) = Browser::open(1440, 900, "en", false) else { return };
    let demo = demo();
    demo.log_in(&browser, "apt.dpkg_interrupted");
    browser.go(&format!("{}/incidents?code=apt.dpkg_interrupted", demo.address));
    browser.wait_text("-0005");
    // A mark on the row shows that it is the same row afterwards, and not a new page.
    let before = browser.eval(
        "const row = [...document.querySelectorAll('tr[data-key]')].find(r => r.innerText.includes('-0005'));
         row.dataset.mark = 'kept';
         fetch(`/api/v1/incidents/${row.dataset.key}/remediate`, { method: 'POST', headers: { 'content-type': 'application/json' },
             body: JSON.stringify({ remediation: 'apt.configure_pending', max_risk: 'disruptive', reason: 'to see it live' }) });
         return row.cells[1].innerText",
    );
    assert!(before.as_str().is_some_and(|s| s.contains("open")), "{before}");
    wait_for("the row to change in place", PATIENCE, || {
        let row = browser.eval(
            "const row = document.querySelector('tr[data-mark=kept]'); return row && [row.cells[1].innerText, row.className]",
        );
        let said = row.to_string();
        if row.is_array() && (!said.contains("open") || said.contains("gone")) {
            Ok(())
        } else {
            Err(said)
        }
    });
    assert!(browser.complaints().is_empty());

    browser.without_scripts();
    for (name, path) in pages(&browser, &demo.address) {
        browser.go(&format!("{}{path}", demo.address));
        browser.wait_text("Triage");
        let scripts = browser.eval("return document.querySelectorAll('.copier').length");
        assert_eq!(scripts, 0, "{name} ran a script");
    }
    browser.go(&format!("{}/hosts", demo.address));
    browser.type_into(".filters input[name=search]", "-0002");
    browser.click(".filters button");
    browser.wait_text("1 of 1");
    let name = browser.eval("return document.querySelector('td.name a').innerText");
    browser.type_into("input[name=q]", name.as_str().expect("a host's name"));
    browser.click(".search button");
    browser.wait_text("What happened");
    assert!(browser.eval("return location.pathname").to_string().contains("/hosts/"));
}
