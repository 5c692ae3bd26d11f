use super::*;

const TERM: &str = "
Log started: 2026-01-02  03:04:05
Setting up demo (1.0) ...
dpkg: error processing package demo (--configure):
 installed demo package post-installation script subprocess returned error exit status 3
Errors were encountered while processing:
 demo
Log ended: 2026-01-02  03:04:09

Log started: 2026-01-02  04:00:00
dpkg: error processing archive /var/cache/apt/archives/big_2.0_all.deb (--unpack):
 cannot copy extracted data: failed to write (No space left on device)
Log started: 2026-01-02  05:00:00
Unpacking x
";

#[test]
fn runs_are_taken_whole() {
    let (runs, taken) = runs(TERM.as_bytes());
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].end - runs[0].start, 4_000);
    let first = &runs[0].failures[0];
    assert_eq!((first.slug, first.package.as_deref()), ("apt.maintainer_script", Some("demo")));
    assert!(first.words.ends_with("returned error exit status 3"));
    let second = &runs[1].failures[0];
    assert_eq!((second.slug, second.package.as_deref()), ("fs.disk_full", Some("big")));
    assert!(TERM[taken..].starts_with("Log started: 2026-01-02  05:00:00"));
}

#[test]
fn stanzas_are_taken_whole() {
    let text = "\nStart-Date: 2026-01-02  03:04:05\nCommandline: apt-get install demo\n\
        Install: demo:amd64 (1.0)\nError: Sub-process /usr/bin/dpkg returned an error code (1)\n\
        End-Date: 2026-01-02  03:04:09\n\nStart-Date: 2026-01-02  05:00:00\nRemove: x (1)\n";
    let (found, taken) = stanzas(text.as_bytes());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].operation, Operation::Install);
    assert!(found[0].error.as_deref().is_some_and(|e| e.ends_with("code (1)")));
    assert!(text[taken..].starts_with("Start-Date: 2026-01-02  05:00:00"));
    let (rest, _) =
        stanzas(format!("{}End-Date: 2026-01-02  05:00:01\n", &text[taken..]).as_bytes());
    assert_eq!((rest[0].operation, &rest[0].error), (Operation::Uninstall, &None));
}

#[test]
fn one_fault_of_a_run_is_one() {
    let text = "2026-01-02 06:25:03,123 INFO Starting unattended upgrades script\n\
        2026-01-02 06:25:04,000 ERROR Lock could not be acquired (another package manager running?)\n\
        2026-01-02 06:25:05,000 ERROR Installing the upgrades failed!\n\
        2026-01-03 06:25:05,000 ERROR Installing the upgrades failed!\n\
        2026-01-03 06:25:06,000 ERROR error message: 'Hash Sum mismatch'\nnoise ERROR\n";
    let found = unattended_errors(text.as_bytes());
    let slugs: Vec<_> = found.iter().map(|l| l.slug).collect();
    assert_eq!(slugs, [Some("apt.lock_held"), Some("apt.hash_mismatch")]);
}

#[test]
fn an_attempt_without_end_is_seen() {
    let text = "2026-01-02 03:04:05 configure demo:amd64 1.0 <none>\n\
        2026-01-02 03:04:05 status half-configured demo:amd64 1.0\n";
    assert!(unfinished_configure(text.as_bytes(), "demo").is_some());
    assert_eq!(unfinished_configure(text.as_bytes(), "dem"), None);
    let done = format!("{text}2026-01-02 03:04:06 status installed demo:amd64 1.0\n");
    assert_eq!(unfinished_configure(done.as_bytes(), "demo"), None);
}

#[test]
fn any_text_is_survived() {
    for text in [
        "Log started: x\nLog ended: y\n",
        "End-Date: z\n",
        ": : :\n",
        "Log ended: 2026-01-02  03:04:09\n",
    ] {
        let _ = runs(text.as_bytes());
        let _ = stanzas(text.as_bytes());
        let _ = unattended_errors(text.as_bytes());
        let _ = unfinished_configure(text.as_bytes(), "");
    }
}
