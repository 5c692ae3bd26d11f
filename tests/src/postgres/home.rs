//! A cluster's files and processes: made, started, watched over, ended.

use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Options, PASSWORD, ROLE, tls};
use crate::programs::{command, must, run, text};

/// The shared cluster ends when nobody has held it for so many looks of the watchdog, 5 s apart.
const SHARED_LOOKS: u32 = 36;

/// How long a start may take, twice over: once by pg_ctl, once by us.
const STARTS_WITHIN: Duration = Duration::from_secs(90);

/// Waits until no process holds `users`, then ends the cluster and removes its files. Who wants the cluster
/// holds `lock` while he looks whether it is there, so the end never comes between that and his hold.
const WATCHDOG: &str = r#"
idle=0
while [ -d "$folder/data" ]; do
  sleep 5
  if flock -n -x "$folder/users" true; then idle=$((idle + 1)); else idle=0; fi
  if [ "$idle" -ge "$looks" ]; then
    flock -x "$folder/lock" flock -n -x "$folder/users" sh -c '
      pid=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null) || true
      if [ -n "$pid" ]; then kill -QUIT "$pid"; kill -CONT "$pid"; fi
      tries=0
      while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
      rm -rf "$folder/data"
      if [ -n "$private" ]; then rm -rf "$folder"; fi'
    idle=0
  fi
done
"#;

/// The user that the server runs as, where root starts it.
#[derive(Debug, Clone, Copy)]
struct User {
    uid: u32,
    gid: u32,
}

/// A cluster of the tests' own.
#[derive(Debug)]
pub(super) struct Home {
    folder: PathBuf,
    programs: PathBuf,
    user: Option<User>,
    port: u16,
    options: Options,
    private: bool,
    pub(super) paused: AtomicBool,
    /// Held as long as the cluster is wanted.
    _users: File,
}

impl Home {
    pub(super) fn shared() -> Result<Arc<Self>, String> {
        let (programs, user) = needs()?;
        let me = my_uid();
        let folder = std::env::temp_dir().join(format!("fleetmend-tests-postgres-{me}"));
        make_folder(&folder, me)?;
        let lock = File::create(folder.join("lock")).map_err(|e| e.to_string())?;
        lock.lock().map_err(|e| e.to_string())?;
        let users = File::create(folder.join("users")).map_err(|e| e.to_string())?;
        users.lock_shared().map_err(|e| e.to_string())?;
        let port = std::fs::read_to_string(folder.join("port")).unwrap_or_default();
        let mut home = Self {
            port: port.trim().parse().unwrap_or(0),
            folder,
            programs,
            user,
            options: Options { connections: 400, ..Options::default() },
            private: false,
            paused: AtomicBool::new(false),
            _users: users,
        };
        if home.port == 0 || !home.answers() {
            // It does not keep its promises over a crash, so it never starts on old files.
            home.end();
            let _ = std::fs::remove_dir_all(home.folder.join("data"));
            home.make()?;
            let port = home.port.to_string();
            std::fs::write(home.folder.join("port"), port).map_err(|e| e.to_string())?;
        }
        Ok(Arc::new(home))
    }

    pub(super) fn private(options: Options) -> Result<Arc<Self>, String> {
        let (programs, user) = needs()?;
        let folder = tempfile::Builder::new()
            .prefix("fleetmend-postgres-")
            .tempdir()
            .map_err(|e| e.to_string())?
            .keep();
        make_folder(&folder, my_uid())?;
        File::create(folder.join("lock")).map_err(|e| e.to_string())?;
        let users = File::create(folder.join("users")).map_err(|e| e.to_string())?;
        users.lock_shared().map_err(|e| e.to_string())?;
        let mut home = Self {
            folder,
            programs,
            user,
            port: 0,
            options,
            private: true,
            paused: AtomicBool::new(false),
            _users: users,
        };
        home.make()?;
        Ok(Arc::new(home))
    }

    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn root_certificate(&self) -> PathBuf {
        assert!(self.options.tls, "this cluster has no TLS");
        self.folder.join("root.crt")
    }

    pub(super) fn printed(&self) -> String {
        std::fs::read(self.data().join("log")).map(|bytes| text(&bytes)).unwrap_or_default()
    }

    pub(super) fn url(&self, database: &str) -> String {
        let (host, query) = if self.options.tls {
            let root = self.root_certificate();
            ("localhost", format!("sslmode=verify-full&sslrootcert={}", root.display()))
        } else {
            ("127.0.0.1", "sslmode=disable".to_owned())
        };
        format!("postgres://{ROLE}:{PASSWORD}@{host}:{}/{database}?{query}", self.port)
    }

    /// psql as the superuser, over the socket that only its owner reaches.
    pub(super) fn psql(&self, database: &str) -> Command {
        let mut psql = self.program("psql");
        psql.arg("-h").arg(self.data()).args(["-U", "postgres", "-d", database]);
        psql.args(["-p", &self.port.to_string()]);
        psql
    }

    /// Starts the server on its files and port, and waits until it takes connections: after a crash,
    /// and on a busy machine, it recovers for a while first.
    pub(super) fn start(&self) -> Result<(), String> {
        let options = format!("-p {} -k {}", self.port, self.data().display());
        let patience = STARTS_WITHIN.as_secs().to_string();
        let mut start = self.program("pg_ctl");
        start.args(["start", "-w", "-s", "-t", &patience, "-D"]).arg(self.data());
        start.arg("-l").arg(self.data().join("log")).args(["-o", &options]);
        // Its output would be held open by the server itself.
        let status =
            start.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if matches!(status, Ok(status) if status.success()) {
            return Ok(());
        }
        // pg_ctl gave up; the server may not have.
        let began = Instant::now();
        while self.runs() && began.elapsed() < STARTS_WITHIN {
            if self.answers() {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        let now = if self.runs() { "still starts" } else { "ended" };
        Err(format!("PostgreSQL did not start ({status:?}, it {now}):\n{}", self.printed()))
    }

    /// Whether its processes are there, whatever they do.
    fn runs(&self) -> bool {
        let mut status = self.program("pg_ctl");
        run(status.args(["status", "-s", "-D"]).arg(self.data())).status.success()
    }

    /// One of PostgreSQL's programs, as the server's user.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut program = command(self.programs.join(name));
        program.current_dir("/").env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin");
        if let Some(user) = self.user {
            program.uid(user.uid).gid(user.gid);
        }
        program
    }

    /// Ends the server at once, however it stands.
    pub(super) fn end(&self) {
        if self.paused.swap(false, Ordering::Relaxed) {
            super::faults::signal(self, "CONT");
        }
        let mut stop = self.program("pg_ctl");
        let patience = STARTS_WITHIN.as_secs().to_string();
        stop.args(["stop", "-m", "immediate", "-s", "-w", "-t", &patience, "-D"]);
        let _ = run(stop.arg(self.data()));
    }

    /// Initialises, configures and starts it.
    fn make(&mut self) -> Result<(), String> {
        let own = |path: &Path| match self.user {
            Some(user) => chown(path, Some(user.uid), Some(user.gid)).map_err(|e| e.to_string()),
            None => Ok(()),
        };
        let data = self.data();
        std::fs::create_dir(&data).map_err(|e| format!("{}: {e}", data.display()))?;
        std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700))
            .map_err(|e| e.to_string())?;
        own(&data)?;
        must(
            self.program("initdb")
                .args(["-N", "-U", "postgres", "-A", "trust", "-E", "UTF8"])
                .args(["--locale=C", "-D", &data.display().to_string()]),
        );
        if self.options.tls {
            for file in tls::write(&self.folder, &data)? {
                own(&file)?;
            }
        }
        std::fs::write(data.join("pg_hba.conf"), self.access()).map_err(|e| e.to_string())?;
        let settings = data.join("postgresql.conf");
        let old = std::fs::read_to_string(&settings).map_err(|e| e.to_string())?;
        std::fs::write(settings, old + &self.settings()).map_err(|e| e.to_string())?;
        self.watch()?;
        let mut started = Err(String::new());
        for _ in 0..5 {
            // Whoever takes the port between this look and the start makes one more try.
            self.port = crate::free_port();
            started = self.start();
            if started.is_ok() {
                break;
            }
        }
        started?;
        let role = format!("CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{PASSWORD}'");
        must(self.psql("postgres").args(["-X", "-q", "-c", &role]));
        Ok(())
    }

    fn settings(&self) -> String {
        let connections = match self.options.connections {
            0 => 100,
            n => n,
        };
        let mut text = format!(
            "\nlisten_addresses = '127.0.0.1'\nmax_connections = {connections}\n\
             max_wal_senders = 0\nwal_level = minimal\nlog_statement = none\njit = off\n"
        );
        if !self.private {
            text += "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\n\
                     shared_buffers = 128MB\nmax_wal_size = 2GB\n";
        }
        if self.options.tls {
            text += "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n";
        }
        text
    }

    /// The shared cluster asks for no password: proving one costs more than most tests.
    fn access(&self) -> String {
        let (line, how) = match (self.options.tls, self.private) {
            (true, _) => ("hostssl", "scram-sha-256"),
            (false, true) => ("host", "scram-sha-256"),
            (false, false) => ("host", "trust"),
        };
        format!("local all postgres trust\n{line} all {ROLE} 127.0.0.1/32 {how}\n")
    }

    fn answers(&self) -> bool {
        let mut psql = self.psql("postgres");
        run(psql.args(["-X", "-q", "-c", "SELECT 1"])).status.success()
    }

    fn watch(&self) -> Result<(), String> {
        let looks = if self.private { 1 } else { SHARED_LOOKS };
        let mut watchdog = command("/bin/sh");
        watchdog
            .args(["-c", WATCHDOG])
            .current_dir("/")
            .env("folder", &self.folder)
            .env("looks", looks.to_string())
            .env("private", if self.private { "yes" } else { "" })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever ends the test's group does not end it.
            .process_group(0);
        watchdog.spawn().map(drop).map_err(|e| format!("the watchdog did not start: {e}"))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.private {
            if std::thread::panicking() {
                println!("---- PostgreSQL\n{}", self.printed());
            }
            self.end();
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// Held while a template is made: one at a time over all processes.
pub(super) fn templates_lock() -> File {
    let path = std::env::temp_dir().join(format!("fleetmend-tests-templates-{}", my_uid()));
    let file = File::create(path).expect("a lock file");
    file.lock().expect("locks");
    file
}

/// Where PostgreSQL's programs are and whom they run as, else why that cannot be.
fn needs() -> Result<(PathBuf, Option<User>), String> {
    let why = "PostgreSQL is not installed: `apt-get install postgresql`";
    let mut folders = vec![];
    let asked = command("pg_config").arg("--bindir").stdin(Stdio::null()).output();
    if let Ok(output) = asked {
        folders.push(PathBuf::from(text(&output.stdout).trim()));
    }
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        folders.extend(versions.flatten().map(|version| version.path().join("bin")));
    }
    let programs = folders.into_iter().find(|folder| {
        ["initdb", "pg_ctl", "postgres", "psql"].iter().all(|name| folder.join(name).exists())
    });
    let programs = programs.ok_or(why)?;
    if !Path::new("/usr/bin/flock").exists() {
        return Err("flock is not installed: `apt-get install util-linux`".to_owned());
    }
    if my_uid() != 0 {
        return Ok((programs, None));
    }
    let users = std::fs::read_to_string("/etc/passwd").map_err(|e| format!("/etc/passwd: {e}"))?;
    let user = users.lines().find_map(|line| {
        let mut parts = line.split(':');
        (parts.next() == Some("postgres")).then_some(())?;
        let uid = parts.nth(1)?.parse().ok()?;
        Some(User { uid, gid: parts.next()?.parse().ok()? })
    });
    let user = user.ok_or("PostgreSQL does not run as root, and there is no user postgres")?;
    Ok((programs, Some(user)))
}

/// Makes the folder, or sees that it is ours: its place can be guessed.
fn make_folder(folder: &Path, me: u32) -> Result<(), String> {
    let why = |e: std::io::Error| format!("{}: {e}", folder.display());
    if let Err(e) = std::fs::create_dir(folder)
        && e.kind() != std::io::ErrorKind::AlreadyExists
    {
        return Err(why(e));
    }
    let found = std::fs::symlink_metadata(folder).map_err(why)?;
    if !found.is_dir() || found.uid() != me {
        return Err(format!("{} is not this user's folder: remove it", folder.display()));
    }
    // The server's user passes through to its own folder inside.
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).map_err(why)
}

/// The user of this process.
fn my_uid() -> u32 {
    std::fs::metadata("/proc/self").map_or(u32::MAX, |found| found.uid())
}
