//! The demo as a program of its own, and a browser's way into it.

use std::path::{Path, PathBuf};

use crate::browser::Browser;
use crate::programs::{Running, command, ours};

/// A demo that runs until this is dropped.
#[derive(Debug)]
pub struct Demo {
    _program: Running,
    folder: tempfile::TempDir,
    /// Where its pages are.
    pub address: String,
    /// An administrator's API token.
    pub login: String,
    /// An administrator's name and password.
    pub person: (String, String),
}

impl Demo {
    /// Starts one with so many simulated hosts.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(hosts: u32) -> Self {
        Self::start_with(hosts, &[])
    }

    /// The same with a fleet of its own: what fails on which host goes by the seed.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start_from(hosts: u32, seed: u32) -> Self {
        Self::start_with(hosts, &["--seed", &seed.to_string()])
    }

    fn start_with(hosts: u32, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (zero, hosts) = ("127.0.0.1:0", hosts.to_string());
        let program = Running::start(
            command(ours("fleetmend-sim"))
                .args(["demo", "--hosts", &hosts, "--http-listen", zero, "--agent-listen", zero])
                .args(["--metrics-listen", zero, "--no-campaigns"])
                .args(more)
                .env("TMPDIR", folder.path()),
            &folder.path().join("demo.log"),
        );
        let (address, login, name, password) = crate::wait_for("the demo", crate::PATIENCE, || {
            let said = program.printed();
            let after = |mark: &str| {
                let rest = &said[said.find(mark)? + mark.len()..];
                rest.split_whitespace().next().map(str::to_owned)
            };
            let all = (
                after("Dashboard"),
                after("FLEETMEND_TOKEN="),
                after("Log in as"),
                after(", password"),
            );
            let (Some(address), Some(login), Some(name), Some(password)) = all else {
                return Err(said);
            };
            Ok((address, login, name.trim_end_matches(',').to_owned(), password))
        });
        Self { _program: program, folder, address, login, person: (name, password) }
    }

    /// Logs in by name and password, and waits for this on the first page.
    pub fn log_in_by_name(&self, browser: &Browser, wait_for: &str) {
        browser.go(&format!("{}/login", self.address));
        browser.type_into("#name", &self.person.0);
        browser.type_into("#password", &self.person.1);
        browser.click("button.primary");
        self.wait_first_page(browser, wait_for);
    }

    /// Logs in by the token, and waits for this on the first page.
    pub fn log_in(&self, browser: &Browser, wait_for: &str) {
        const FORM: &str = "document.querySelector('#token')";
        browser.go(&self.address);
        // The token's form may be folded below that of people.
        let unfold = format!("const fold = {FORM}.closest('details'); if (fold) fold.open = true;");
        browser.eval(&unfold);
        browser.type_into("#token", &self.login);
        browser.eval(&format!("{FORM}.form.querySelector('button').click()"));
        self.wait_first_page(browser, wait_for);
    }

    /// The first page does not move under its reader: it is read again until this stands there.
    fn wait_first_page(&self, browser: &Browser, wanted: &str) {
        browser.wait_text(&self.person.0);
        let what = format!("\"{wanted}\" on the first page");
        crate::wait_for(&what, crate::PATIENCE, || {
            browser.go(&self.address);
            let said = browser.text();
            if said.contains(wanted) { Ok(()) } else { Err(said) }
        });
    }

    /// Where a picture goes: kept where asked, else in the test's own folder.
    ///
    /// # Panics
    /// Where no folder can be made for it.
    pub fn picture(&self, name: &str) -> PathBuf {
        let folder = std::env::var_os("FLEETMEND_SCREENSHOTS").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| self.folder.path().to_owned());
        std::fs::create_dir_all(&folder).expect("a folder for pictures");
        folder.join(format!("{name}.png"))
    }
}

/// Keeps the window's picture, and sees that it is one.
///
/// # Panics
/// Where the picture is empty.
pub fn keep(browser: &Browser, file: &Path) {
    browser.screenshot(file);
    let size = std::fs::metadata(file).expect("a picture").len();
    assert!(size > 10_000, "{} is an empty picture ({size} bytes)", file.display());
}
