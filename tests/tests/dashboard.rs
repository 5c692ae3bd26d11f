//! The dashboard in a real browser, over the demo: log in, see what is broken, order a repair on a
//! simulated host, watch it, see it proved. In both languages, light and dark, wide and narrow.
//!
//! With `FLEETMEND_SCREENSHOTS=DIR` the pictures are kept there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetmend_tests::browser::Browser;
use fleetmend_tests::programs::{Running, command, ours};

struct Demo {
    _program: Running,
    folder: tempfile::TempDir,
    address: String,
    login: String,
}

fn demo() -> Demo {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let zero = "127.0.0.1:0";
    let program = Running::start(
        command(ours("fleetmend-sim"))
            .args(["demo", "--hosts", "12", "--http-listen", zero, "--agent-listen", zero])
            .args(["--metrics-listen", zero])
            .env("TMPDIR", folder.path()),
        &folder.path().join("demo.log"),
    );
    let (address, login) = fleetmend_tests::wait_for("the demo", Duration::from_mins(2), || {
        let said = program.printed();
        let after = |mark: &str| {
            let rest = &said[said.find(mark)? + mark.len()..];
            rest.split_whitespace().next().map(str::to_owned)
        };
        after("Dashboard").zip(after("Log in with")).ok_or(said.clone())
    });
    Demo { _program: program, folder, address, login }
}

impl Demo {
    fn log_in(&self, browser: &Browser) {
        browser.go(&self.address);
        browser.type_into("#token", &self.login);
        browser.click("button.primary");
        browser.wait_text("dpkg was interrupted");
    }

    fn log_in_russian(&self, browser: &Browser) {
        browser.go(&self.address);
        browser.wait_text("Войти");
        browser.type_into("#token", &self.login);
        browser.click("button.primary");
        browser.wait_text("0x80070003");
        let lang = browser.eval("return document.documentElement.lang");
        assert_eq!(lang, "ru");
    }

    /// Where a picture goes: kept where asked, else in the test's own folder.
    fn picture(&self, name: &str) -> PathBuf {
        let folder = std::env::var_os("FLEETMEND_SCREENSHOTS").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| self.folder.path().to_owned());
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        folder.join(format!("{name}.png"))
    }
}

fn keep(browser: &Browser, file: &Path) {
    browser.screenshot(file);
    let size = std::fs::metadata(file).expect("a picture").len();
    assert!(size > 10_000, "{} is an empty picture ({size} bytes)", file.display());
}

#[test]
fn an_admin_sees_orders_and_gets_proof() {
    let Some(browser) = Browser::open(1440, 900, "en", false) else { return };
    let demo = demo();
    browser.go(&demo.address);
    browser.wait_text("API token");
    browser.type_into("#token", &demo.login);
    browser.click("button.primary");
    // What is broken, and how sure.
    browser.wait_text("dpkg was interrupted");
    browser.wait_text("0x80070003");
    browser.wait_text("0x800F081F");
    keep(&browser, &demo.picture("triage"));

    browser.go(&format!("{}/hosts", demo.address));
    browser.wait_text("sim-001.example.com");
    assert!(browser.text().contains("simulated"), "simulated hosts are labelled");
    keep(&browser, &demo.picture("hosts"));

    browser.go(&format!("{}/explain?q=%D1%8580070003", demo.address));
    // Not the spelling that an error would offer: what the code means.
    browser.wait_text("ERROR_PATH_NOT_FOUND");
    keep(&browser, &demo.picture("explain"));

    // One incident: its verdict, its evidence, its plan; and the order.
    browser.go(&format!("{}/incidents?code=apt.dpkg_interrupted", demo.address));
    let incident = browser.eval(
        "return [...document.querySelectorAll('tr')].find(r => r.innerText.includes('sim-001'))?.querySelector('a[href^=\"/incidents/\"]')?.href",
    );
    let incident = incident.as_str().expect("an incident of sim-001").to_owned();
    browser.go(&incident);
    browser.wait_text("dpkg --force-confdef --force-confold --configure -a");
    keep(&browser, &demo.picture("incident"));
    browser.type_into("input[name=reason]", "shown in the demo");
    browser.click("form[action$='/remediate'] button");
    // The page follows the job by itself, to its proof.
    browser.wait_text("example-app is configured");
    browser.wait_text("fixed");
    // What can no more be cancelled is no more offered, without a reload.
    fleetmend_tests::wait_for("the end of the offer to cancel", Duration::from_secs(30), || {
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
    browser.wait_text("sim-001.example.com");
    keep(&browser, &demo.picture("host"));
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
}

#[test]
fn the_pages_hold_in_russian_dark_and_narrow() {
    let Some(dark) = Browser::open(1440, 900, "ru", true) else { return };
    let demo = demo();
    demo.log_in_russian(&dark);
    keep(&dark, &demo.picture("triage-ru-dark"));
    drop(dark);
    let Some(phone) = Browser::open(500, 900, "en", false) else { return };
    demo.log_in(&phone);
    phone.go(&demo.address);
    phone.wait_text("dpkg was interrupted");
    let wide = phone.eval("return document.documentElement.scrollWidth - window.innerWidth");
    assert!(wide.as_i64().is_some_and(|over| over <= 0), "the page is {wide} px too wide");
    keep(&phone, &demo.picture("triage-phone"));
    let complaints = phone.complaints();
    assert!(complaints.is_empty(), "the console complains: {complaints:?}");
}
