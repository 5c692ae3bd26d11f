//! An HTTP proxy that takes CONNECT, as companies have them between their hosts and the rest.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A proxy that runs until the test's process ends.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    mind: Arc<Mind>,
}

#[derive(Debug, Default)]
struct Mind {
    refuse: AtomicBool,
    passed: AtomicUsize,
    refused: AtomicUsize,
}

impl Proxy {
    /// Starts one on a free port.
    ///
    /// # Panics
    /// Where there is none.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let mind = Arc::new(Mind::default());
        let of_thread = Arc::clone(&mind);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let mind = Arc::clone(&of_thread);
                // A broken connection is its two ends' business.
                std::thread::spawn(move || serve(client, &mind));
            }
        });
        Self { address, mind }
    }

    /// Where it is, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on every wish is answered with 403.
    pub fn refuse(&self) {
        self.mind.refuse.store(true, Ordering::SeqCst);
    }

    /// Connections that it let through.
    pub fn passed(&self) -> usize {
        self.mind.passed.load(Ordering::SeqCst)
    }

    /// Connections that it refused.
    pub fn refused(&self) -> usize {
        self.mind.refused.load(Ordering::SeqCst)
    }
}

fn serve(mut client: TcpStream, mind: &Mind) -> io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?);
    let mut wish = String::new();
    lines.read_line(&mut wish)?;
    let mut header = String::from("-");
    while !header.trim().is_empty() {
        header.clear();
        lines.read_line(&mut header)?;
    }
    let to = wish.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(to) = to.filter(|_| !mind.refuse.load(Ordering::SeqCst)) else {
        mind.refused.fetch_add(1, Ordering::SeqCst);
        return client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(to)?;
    mind.passed.fetch_add(1, Ordering::SeqCst);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut up, mut down) = (server.try_clone()?, client.try_clone()?);
    // The client waits for the answer before it speaks on: nothing is left in the buffer.
    std::thread::spawn(move || pass(&mut client, &mut up));
    pass(&mut { server }, &mut down)
}

fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    let copied = io::copy(from, to);
    let _ = to.shutdown(Shutdown::Write);
    copied.map(|_| ())
}
