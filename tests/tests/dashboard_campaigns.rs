//! Campaigns in a real browser, over the demo: from a problem to a preview, started, watched to its
//! end, paused by its threshold, and approved by nobody but a second person. In both languages, light
//! and dark, wide and narrow, with and without scripts.
//!
//! With `FLEETMEND_SCREENSHOTS=DIR` the pictures are kept there.

use std::time::Duration;

use fleetmend_tests::browser::Browser;
use fleetmend_tests::demo::{Demo, keep};
use fleetmend_tests::{PATIENCE, wait_for};

/// A fleet in which some hosts' mirrors are stale.
const SEED: u32 = 2_705;
/// Every failure of apt, by what is safe: some of it helps.
const SAFE: &str = "name=Refresh%20lists&reason=change%2018&product=apt&remedy=apt.refresh_lists&waves=1%2C%20all\
    &soak=0m&success=1&pause=0&abort=off&max_hosts=5";

/// Writes a campaign by its form, without a browser's help; gives its path.
fn written(browser: &Browser, demo: &Demo, query: &str) -> String {
    browser.go(&format!("{}/campaigns/preview?{query}", demo.address));
    browser.click("button[value=draft]");
    wait_for("the campaign's page", PATIENCE, || {
        let at = browser.eval("return location.pathname");
        let path = at.as_str().unwrap_or_default();
        let is_page = path.len() == "/campaigns/".len() + 36;
        if is_page { Ok(path.to_owned()) } else { Err(format!("{path}: {}", browser.text())) }
    })
}

#[test]
fn a_problem_is_fixed_by_a_campaign_that_is_watched() {
    let Some(browser) = Browser::open(1440, 900, "en", false) else { return };
    let demo = Demo::start_from(30, SEED);
    demo.log_in(&browser, "apt.dpkg_interrupted");
    browser.go(&format!("{}/campaigns", demo.address));
    browser.wait_text("To the problems");
    keep(&browser, &demo.picture("campaigns-empty"));
    browser.go(&format!(
        "{}/problems?cause=dpkg_interrupted&product=apt&operation=install",
        demo.address
    ));
    browser.wait_text("Fix on ");
    browser.click("a[href^='/campaigns/new']");
    browser.wait_text("Strict defaults");
    browser.long_screenshot(&demo.picture("campaign-form"));
    // What cannot be taken back is said first, and waits for a second person.
    browser.type_into("#reason", "change 16");
    browser.eval("document.querySelector('#max_risk').value = 'disruptive'; return 0");
    browser.click("form.campaign button.primary");
    browser.wait_text("Keep and ask for approval");
    browser.wait_text("dpkg --force-confdef --force-confold --configure -a");
    browser.long_screenshot(&demo.picture("campaign-preview"));

    // What is safe is started at once.
    browser.go(&format!("{}/campaigns/preview?{SAFE}", demo.address));
    browser.wait_text("Start on 1 of ");
    browser.long_screenshot(&demo.picture("campaign-preview-safe"));
    browser.click("button[value=start]");
    browser.wait_text("How near its limits are");
    // The page follows by itself, wave by wave, until it ends or an error stops it.
    wait_for("the first wave", PATIENCE, || {
        let said = browser.text();
        if said.contains("1 fixed") || said.contains("in flight") { Ok(()) } else { Err(said) }
    });
    keep(&browser, &demo.picture("campaign-running"));
    wait_for("the campaign's end", Duration::from_mins(4), || {
        let said = browser.text();
        if said.contains("completed") || said.contains("▲ aborted") || said.contains("◆ paused")
        {
            Ok(())
        } else {
            Err(said)
        }
    });
    browser.long_screenshot(&demo.picture("campaign-ended"));
    // Which host comes first is drawn; one of them has a mirror that no refreshing mends.
    assert!(browser.text().contains("1 error"), "{}", browser.text());
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
}

#[test]
fn errors_pause_it_and_what_is_dangerous_waits_for_a_second_person() {
    let Some(dark) = Browser::open(1440, 900, "ru", true) else { return };
    let demo = Demo::start_from(30, SEED);
    demo.log_in(&dark, "0x80070003");
    // A mirror that is stale is not mended by asking again: the first such host is an error.
    let paused = written(&dark, &demo, SAFE);
    dark.go(&format!("{}{paused}/start", demo.address));
    dark.type_into("#reason", "go");
    dark.click("form.stack button");
    wait_for("the threshold", Duration::from_mins(4), || {
        dark.go(&format!("{}{paused}", demo.address));
        let said = dark.text();
        if said.contains("приостановлена") { Ok(()) } else { Err(said) }
    });
    let dangerous = "name=Dangerous&reason=change%2019&product=windows_update&max_risk=dangerous";
    let waiting = written(&dark, &demo, dangerous);
    dark.wait_text("ждёт одобрения");
    let all = [
        ("campaigns", "/campaigns".to_owned()),
        ("campaign-paused", paused.clone()),
        ("campaign-resume", format!("{paused}/resume")),
        ("campaign-undo", format!("{paused}/undo")),
        ("campaign-waiting", waiting.clone()),
        ("campaign-preview", format!("/campaigns/preview?{dangerous}")),
        ("campaign-form-bad", format!("/campaigns/preview?{dangerous}&abort=none&waves=1")),
        ("approvals", "/approvals".to_owned()),
        ("freezes", "/freezes".to_owned()),
        ("halt", "/halt".to_owned()),
    ];
    for (name, path) in &all {
        dark.go(&format!("{}{path}", demo.address));
        dark.wait_text("Что сломано");
        assert!(dark.too_wide() <= 0, "{name} is {} px too wide", dark.too_wide());
        dark.long_screenshot(&demo.picture(&format!("{name}-ru-dark")));
    }
    drop(dark);
    let Some(phone) = Browser::open(500, 900, "en", false) else { return };
    phone.resize(390, 844);
    demo.log_in(&phone, "0x80070003");
    for (name, path) in &all {
        phone.go(&format!("{}{path}", demo.address));
        phone.wait_text("Pages");
        assert!(phone.too_wide() <= 0, "{name} is {} px too wide", phone.too_wide());
        phone.long_screenshot(&demo.picture(&format!("{name}-phone")));
    }
    phone.resize(1440, 900);
    for (name, path) in &all {
        phone.go(&format!("{}{path}", demo.address));
        phone.wait_text("Triage");
        phone.long_screenshot(&demo.picture(&format!("{name}-wide")));
    }
    // A second person, by name, looks and approves.
    phone.click(".me button");
    demo.log_in_by_name(&phone, "0x80070003");
    phone.go(&format!("{}/approvals", demo.address));
    phone.click("a[href$='/approve']");
    phone.wait_text("Needs the approval of a second person");
    phone.long_screenshot(&demo.picture("campaign-approve"));
    phone.type_into("#reason", "seen with the change board");
    phone.click("form.stack button");
    phone.wait_text("seen with the change board");
    assert!(phone.text().contains("Start…"), "what is approved can be started: {}", phone.text());
    // Without scripts the same forms do the same.
    phone.without_scripts();
    phone.go(&format!("{}/freezes", demo.address));
    phone.type_into("#name", "Year end");
    phone.type_into("#reason", "audit");
    phone.type_into("#from", "2030-12-20T00:00:00Z");
    phone.type_into("#until", "2031-01-06T00:00:00Z");
    phone.click("form.stack button");
    phone.wait_text("Remove Year end");
    phone.go(&format!("{}{paused}/resume", demo.address));
    phone.type_into("#reason", "the errors are known");
    phone.click("form.stack button");
    phone.wait_text("How near its limits are");
    assert!(!phone.text().contains("Resume…"), "it goes on");
}
