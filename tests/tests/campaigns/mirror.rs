//! A mirror behind a cache that gives old lists to whoever does not ask past it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// It serves as long as its test runs.
#[derive(Debug)]
pub(crate) struct Mirror {
    /// `http://127.0.0.1:PORT`
    pub(crate) address: String,
    refreshed: Arc<AtomicBool>,
}

impl Mirror {
    /// Serves the files of a folder. `Packages` is an old one of the same size at first: the cache
    /// fetches the present one when it is asked with `Cache-Control: no-cache`.
    pub(crate) fn start(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let refreshed = Arc::new(AtomicBool::new(false));
        let (folder, cache) = (folder.to_owned(), Arc::clone(&refreshed));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, cache) = (folder.clone(), Arc::clone(&cache));
                thread::spawn(move || serve(&stream, &folder, &cache));
            }
        });
        Self { address, refreshed }
    }

    /// Whether anybody asked past the cache.
    pub(crate) fn was_refreshed(&self) -> bool {
        self.refreshed.load(Ordering::Relaxed)
    }
}

/// Answers one request after the other, as long as the other side asks.
fn serve(stream: &TcpStream, folder: &Path, refreshed: &AtomicBool) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    loop {
        let request = lines.next()?.ok()?;
        for line in lines.by_ref() {
            let line = line.ok()?.to_ascii_lowercase();
            if line.starts_with("cache-control:") && line.contains("no-cache") {
                refreshed.store(true, Ordering::Relaxed);
            }
            if line.is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1)?.trim_start_matches("/./").trim_start_matches('/');
        let file: PathBuf = folder.join(path);
        let found = std::fs::read(&file);
        let (status, mut body) = match found {
            Ok(body) if !path.contains("..") => ("200 OK", body),
            _ => ("404 Not Found", Vec::new()),
        };
        if path == "Packages" && !refreshed.load(Ordering::Relaxed) {
            body.make_ascii_uppercase();
        }
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut answer = head.into_bytes();
        answer.extend(body);
        (&*stream).write_all(&answer).ok()?;
    }
}
