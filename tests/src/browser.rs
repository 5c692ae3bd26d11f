//! A real browser: headless Chromium driven over WebDriver, as much of it as the tests need.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::programs::{Running, command};

/// A browser with one window.
#[derive(Debug)]
pub struct Browser {
    _driver: Running,
    _profile: tempfile::TempDir,
    session: String,
    agent: ureq::Agent,
}

impl Browser {
    /// Opens one; `None` (and *skipped* said) where Chromium is not installed.
    ///
    /// # Panics
    /// Where it is installed and does not start.
    pub fn open(width: u32, height: u32, lang: &str, dark: bool) -> Option<Self> {
        let driver = Path::new("/usr/bin/chromedriver");
        if !driver.exists() {
            crate::skip("no browser (chromium and chromium-driver): run scripts/test.sh");
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary folder");
        let log = profile.path().join("driver.log");
        let driver = Running::start(command(driver).arg("--port=0").env("LANG", "C.UTF-8"), &log);
        let port = crate::wait_for("the browser's driver", crate::PATIENCE, || {
            let said = driver.printed();
            let at = said.find("successfully on port ").ok_or_else(|| said.clone())?;
            let digits: String = said[at + 21..].chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u16>().map_err(|e| e.to_string())
        });
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        let agent: ureq::Agent = config.into();
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-quic".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            format!("--lang={lang}"),
            format!("--window-size={width},{height}"),
            format!("--user-data-dir={}", profile.path().join("profile").display()),
        ];
        if dark {
            args.push("--force-dark-mode".into());
            args.push("--blink-settings=preferredColorScheme=0".into());
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": args, "prefs": {"intl.accept_languages": lang}}
        }}});
        let base = format!("http://127.0.0.1:{port}");
        let answer = post(&agent, &format!("{base}/session"), &wanted);
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let session = format!("{base}/session/{id}");
        Some(Self { _driver: driver, _profile: profile, session, agent })
    }

    /// Goes to an address.
    pub fn go(&self, url: &str) {
        self.ask("url", &json!({ "url": url }));
    }

    /// Runs a script and gives what it returns.
    pub fn eval(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({"script": script, "args": []}))
    }

    /// All the text of the page.
    pub fn text(&self) -> String {
        self.eval("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Types into the first element of a CSS selector.
    pub fn type_into(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.ask(&format!("element/{element}/value"), &json!({ "text": text }));
    }

    /// Clicks the first element of a CSS selector.
    pub fn click(&self, css: &str) {
        let element = self.find(css);
        self.ask(&format!("element/{element}/click"), &json!({}));
    }

    /// Waits until the page says this.
    pub fn wait_text(&self, wanted: &str) {
        crate::wait_for(&format!("\"{wanted}\" on the page"), crate::PATIENCE, || {
            let said = self.text();
            if said.contains(wanted) { Ok(()) } else { Err(said) }
        });
    }

    /// Gives the window's page another size, smaller than a window can be.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Lets the pages that are opened from now on run no scripts.
    pub fn without_scripts(&self) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    }

    /// How many pixels the page is wider than its window.
    pub fn too_wide(&self) -> i64 {
        let over = self.eval("return document.documentElement.scrollWidth - window.innerWidth");
        over.as_i64().unwrap_or_else(|| panic!("no width: {over}"))
    }

    /// The whole page's picture, however long, to a PNG file.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn long_screenshot(&self, file: &Path) {
        let height = self.eval("return Math.min(document.documentElement.scrollHeight, 4000)");
        let width = self.eval("return window.innerWidth");
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let wish = json!({"captureBeyondViewport": true, "clip": clip});
        let answer = self.devtools("Page.captureScreenshot", &wish);
        let picture = answer["data"].as_str().expect("a picture");
        let png = base64::engine::general_purpose::STANDARD.decode(picture).expect("base64");
        std::fs::write(file, png).expect("written");
    }

    fn devtools(&self, command: &str, params: &Value) -> Value {
        self.ask("goog/cdp/execute", &json!({"cmd": command, "params": params}))
    }

    /// What the page's console said at level *severe*, with refused content of the page's policy.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.ask("se/log", &json!({"type": "browser"}));
        log.as_array()
            .map(|lines| {
                lines
                    .iter()
                    .filter(|l| l["level"] == "SEVERE")
                    .map(|l| l["message"].as_str().unwrap_or_default().to_owned())
                    .collect()
            })
            .unwrap_or_default()
    }

    /// The window's picture, to a PNG file.
    ///
    /// # Panics
    /// Where the file cannot be written.
    pub fn screenshot(&self, file: &Path) {
        let url = format!("{}/screenshot", self.session);
        let mut answer = self.agent.get(&url).call().expect("the driver answers");
        let body = answer
            .body_mut()
            .with_config()
            .limit(64 * 1024 * 1024)
            .read_to_string()
            .expect("a picture");
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let picture = value["value"].as_str().expect("a picture");
        let png = base64::engine::general_purpose::STANDARD.decode(picture).expect("base64");
        std::fs::write(file, png).expect("written");
    }

    fn find(&self, css: &str) -> String {
        let found = self.ask("element", &json!({"using": "css selector", "value": css}));
        found
            .as_object()
            .and_then(|o| o.values().next())
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no {css} on the page: {found}\n{}", self.text()))
            .to_owned()
    }

    fn ask(&self, path: &str, body: &Value) -> Value {
        let mut answer = post(&self.agent, &format!("{}/{path}", self.session), body);
        answer["value"].take()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.agent.delete(&self.session).call();
    }
}

fn post(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    let mut answer = agent.post(url).send_json(body).expect("the driver answers");
    let text = answer.body_mut().read_to_string().unwrap_or_default();
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
