//! A small server that gives canned answers, and the program that asks it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A name that a terminal would act on.
pub(crate) const HOSTILE: &str = "web\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}1";

/// What the server was asked: `GET /path` and the body.
pub(crate) type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A server that knows some answers: `GET /path?query` → status and body.
pub(crate) struct Canned {
    pub(crate) url: String,
    pub(crate) asked: Asked,
}

impl Canned {
    pub(crate) fn new(answers: &[(&str, u16, Value)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let answers: BTreeMap<String, (u16, Value)> =
            answers.iter().map(|(k, s, v)| ((*k).to_owned(), (*s, v.clone()))).collect();
        let asked = Asked::default();
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let mut lines = BufReader::new(stream.try_clone().expect("a stream"));
                let mut first = String::new();
                lines.read_line(&mut first).expect("a line");
                let target = first.rsplit_once(' ').map_or("", |(t, _)| t).to_owned();
                let (mut length, mut csv) = (0, false);
                loop {
                    let mut line = String::new();
                    lines.read_line(&mut line).expect("a header");
                    let line = line.trim_end().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(n) = line.strip_prefix("content-length: ") {
                        length = n.parse().expect("a number");
                    }
                    csv |= line == "accept: text/csv";
                    assert!(!line.starts_with("authorization: ") || line.contains("fmt_test"));
                }
                let mut body = vec![0; length];
                lines.read_exact(&mut body).expect("a body");
                let body = String::from_utf8(body).expect("text");
                seen.lock().expect("a lock").push((target.clone(), body));
                let new = seen
                    .lock()
                    .expect("a lock")
                    .last()
                    .is_some_and(|(_, body)| body.contains("\"new_password\""));
                let key = match (csv, new) {
                    (true, _) => format!("{target} csv"),
                    (_, true) => format!("{target} new"),
                    _ => target,
                };
                let missing =
                    (404, json!({ "detail": format!("nothing canned for {key}"), "status": 404 }));
                let (status, value) = answers.get(&key).cloned().unwrap_or(missing);
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                    text.len()
                )
                .expect("sent");
            }
        });
        Self { url, asked }
    }

    #[expect(clippy::disallowed_methods, reason = "a test runs the program that it tests")]
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_fleetmend"))
            .args(args)
            .env_clear()
            .env("FLEETMEND_URL", &self.url)
            .env("FLEETMEND_TOKEN", "fmt_test")
            .stdin(Stdio::null())
            .output()
            .expect("runs")
    }

    /// The same without a token, with a home and standard input.
    #[expect(clippy::disallowed_methods, reason = "a test runs the program that it tests")]
    pub(crate) fn run_at(&self, home: &std::path::Path, args: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fleetmend"))
            .args(args)
            .env_clear()
            .env("FLEETMEND_URL", &self.url)
            .env("XDG_CONFIG_HOME", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("runs");
        child.stdin.take().expect("piped").write_all(stdin.as_bytes()).expect("written");
        child.wait_with_output().expect("ends")
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}
