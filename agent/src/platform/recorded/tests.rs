use std::time::Duration;

use fleetmend_core::step::{Hive, StartType};

use super::{Patch, Record, Recorded};
use crate::platform::{Platform as _, Program, RegistryValue, RunState, ServiceCall};

const RECORD: &str = r#"
[host]
name = "pc.example.com"
os = "windows"
os_name = "Windows 10 Pro"
build = "10.0.19045.3570"
boot = "boot-1"

[registry.'HKLM\SOFTWARE\Example']
Number = 7
Path = { expand = '%SystemRoot%\x' }

[registry.'HKLM\SOFTWARE\Example\Deep\Deeper']

[service.wuauserv]
state = "stopped"
start = "disabled"
trigger = true

[file."Windows/System32/kernel.dll"]
size = 4096
signature = { valid = "Example" }

[folder."Windows/SoftwareDistribution"]

[call."run /Windows/System32/sfc.exe /scannow"]
exit = 3
output = "found something"
then.service.wuauserv.start = "manual"
then.file."Windows/new.txt" = { text = "new" }
remove = [["file", "Windows/System32/kernel.dll"]]

[call."service.stop wuauserv"]
fails = "it does not want to"
"#;

fn host() -> (tempfile::TempDir, Recorded) {
    let root = tempfile::tempdir().expect("a folder");
    let host = Recorded::lay_out(Record::parse(RECORD).expect("reads"), root.path());
    (root, host.expect("laid out"))
}

fn program(path: &str, args: &[&str]) -> Program {
    Program {
        path: path.to_owned(),
        args: args.iter().map(|&a| a.to_owned()).collect(),
        timeout: Duration::from_secs(5),
        max_output: 5,
    }
}

#[tokio::test]
async fn services_change_as_they_do_on_windows() {
    let (_root, host) = host();
    let call = |call| host.service("WUAUSERV", call);
    let error = call(ServiceCall::Start).await.expect_err("disabled");
    assert!(error.to_string().contains("1058"), "{error}");
    call(ServiceCall::SetStart(StartType::Manual)).await.expect("set");
    let seen = call(ServiceCall::Start).await.expect("started");
    assert_eq!(
        (seen.state, seen.start, seen.trigger),
        (RunState::Running, StartType::Manual, true)
    );
    let error = call(ServiceCall::Stop).await.expect_err("recorded so");
    assert_eq!(error.to_string(), "it does not want to");
    assert!(call(ServiceCall::Look).await.expect("seen").runs(), "a failed call does nothing");
    let missing = host.service("none", ServiceCall::Look).await.expect_err("missing");
    assert_eq!(missing.kind(), std::io::ErrorKind::NotFound);
}

#[tokio::test]
async fn the_registry_takes_values_and_gives_them_back() {
    let (_root, host) = host();
    let hive = Hive::LocalMachine;
    let before = host.snapshot().expect("listed");
    let read = |name| host.registry(hive, r"Software\EXAMPLE", name);
    let was = read("path").await.expect("read").expect("there");
    assert_eq!(was.to_string(), r"%SystemRoot%\x");
    let new = RegistryValue::Sz("other".to_owned());
    host.registry_set(hive, r"SOFTWARE\Example", "PATH", Some(&new)).await.expect("set");
    assert_eq!(read("Path").await.expect("read"), Some(new));
    host.registry_set(hive, r"SOFTWARE\Example", "Path", None).await.expect("deleted");
    assert_eq!(read("Path").await.expect("read"), None);
    host.registry_set(hive, r"SOFTWARE\Example", "Path", Some(&was)).await.expect("set");
    assert_eq!(host.snapshot().expect("listed"), before);
    let key = host.registry_key(hive, r"SOFTWARE\Example").await.expect("read").expect("there");
    assert_eq!(
        (key.keys, key.values),
        (vec!["Deep".to_owned()], vec!["Number".into(), "Path".into()])
    );
    assert!(host.registry_key(hive, r"SOFTWARE\Ex").await.expect("read").is_none());
}

#[tokio::test]
async fn a_program_does_what_is_recorded_and_no_other_runs() {
    let (root, host) = host();
    let sfc = "/Windows/System32/sfc.exe";
    assert!(root.path().join("Windows/System32/sfc.exe").is_file());
    let mut seen = Vec::new();
    let mut sink = |piece: &[u8]| seen.extend_from_slice(piece);
    let exit = host.run(&program(sfc, &["/scannow"]), &mut sink).await.expect("runs");
    assert_eq!((exit.status, exit.text().as_str(), exit.dropped), (Some(3), "found", 10));
    assert_eq!(seen, b"found something");
    assert!(!root.path().join("Windows/System32/kernel.dll").exists());
    assert!(root.path().join("Windows/new.txt").is_file());
    let seen = host.service("wuauserv", ServiceCall::Look).await.expect("seen");
    assert_eq!(seen.start, StartType::Manual);
    let error = host.run(&program(sfc, &["/verifyonly"]), &mut |_| {}).await.expect_err("unknown");
    assert!(
        error.to_string().contains("no answer to \"run /Windows/System32/sfc.exe /verifyonly\"")
    );
    assert_eq!(host.done().len(), 2);
}

#[tokio::test]
async fn what_is_not_recorded_is_an_error() {
    let (_root, host) = host();
    assert_eq!(host.volumes().await.expect_err("no").kind(), std::io::ErrorKind::Unsupported);
    assert_eq!(host.power().await.expect_err("no").kind(), std::io::ErrorKind::Unsupported);
    assert!(host.reach("example.com", 443).await.is_err());
    assert!(host.resolve("example.com").await.is_err());
}

#[tokio::test]
async fn links_are_made_and_taken_away_without_what_they_lead_to() {
    let (_root, host) = host();
    let change = r#"
then.folder."Users/a/Media" = {}
then.folder."Users/a/Full/inner" = {}
then.reparse.'C:\Users\a\Media' = { tag = 0xA000_0003, target = '\??\D:\' }
"#;
    let patch: Patch = toml::from_str(change).expect("reads");
    host.change(&patch).expect("changed");
    let before = host.snapshot().expect("listed");
    let path = r"c:\users\A\media";
    let link = host.reparse(path).await.expect("read").expect("a link");
    assert!(link.is_link() && host.reparse_set(r"C:\Users\a\Full", Some(&link)).await.is_err());
    host.reparse_set(path, None).await.expect("detached");
    assert_eq!(host.reparse(r"C:\Users\a\Media").await.expect("read"), None, "a plain folder now");
    assert!(host.reparse_set(r"C:\Users\a\Media", None).await.is_err(), "no link any more");
    host.reparse_set(r"C:\Users\a\Media", Some(&link)).await.expect("attached");
    assert_eq!(host.snapshot().expect("listed"), before);
}

#[test]
fn a_slip_in_a_record_is_named() {
    let slip = RECORD.replace(
        "then.service.wuauserv.start = \"manual\"",
        "then.service.wuauserv.start = \"sometimes\"",
    );
    let error = Record::parse(&slip).expect_err("refused").to_string();
    assert!(error.contains("sfc.exe /scannow") && error.contains("sometimes"), "{error}");
    let error = Record::parse("[host]\nname = 1").expect_err("refused").to_string();
    assert!(error.starts_with("the record of the host: "), "{error}");
    let record = Record::parse(RECORD).expect("reads");
    let patch: Patch = toml::from_str("remove = [[\"service\", \"none\"]]").expect("reads");
    assert!(record.with(&patch).is_err(), "there is no such service");
}
