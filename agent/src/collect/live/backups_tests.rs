use super::*;

fn judged(product: Product, status: i32, log: &str) -> (String, String) {
    let (code, line) = judge(product, Some(status), log);
    (code.map(|c| c.to_string()).unwrap_or_default(), line.unwrap_or_default().to_owned())
}

/// The words are those of restic 0.14, Borg 1.2.4 and rsync 3.2.7, as they printed them.
#[test]
fn words_come_before_a_status_that_says_nothing() {
    let restic = |log: &str| judged(Product::Restic, 1, log).0;
    let locked = "unable to create lock in backend: repository is already locked exclusively by PID 22 on vm by root (UID 0, GID 0)\nlock was created at 2026-11-22 18:31:05 (451.885489ms ago)\nstorage ID 1c452dac\nthe `unlock` command can be used to remove stale locks";
    assert_eq!(restic(locked), "restic.locked");
    assert!(judged(Product::Restic, 1, locked).1.contains("by PID 22 on vm"), "the telling line");
    let missing = "Fatal: unable to open config file: stat /srv/restic/config: no such file or directory\nIs there a repository at the following location?\n/srv/restic";
    assert_eq!(restic(missing), "restic.no_repository");
    let refused = "Fatal: unable to open config file: client.Head: Head \"http://u:***@127.0.0.1:9/x/config\": dial tcp 127.0.0.1:9: connect: connection refused\nIs there a repository at the following location?";
    assert_eq!(restic(refused), "restic.net");
    assert_eq!(restic("Fatal: wrong password or no key found"), "restic.wrong_password");
    assert_eq!(restic("Fatal: repository contains errors"), "restic.repo_damaged");
    assert_eq!(restic("Fatal: something new\n"), "exit:1");
    let borg = |log: &str| judged(Product::Borg, 2, log).0;
    assert_eq!(borg("Repository /srv/borg does not exist."), "borg.no_repository");
    assert_eq!(borg("Archive a1 already exists"), "borg.archive_exists");
    let locked = "Failed to create/acquire the lock /srv/borg/lock.exclusive (timeout).";
    assert_eq!(borg(locked), "borg.locked");
    let wrong = "passphrase supplied in BORG_PASSPHRASE, by BORG_PASSCOMMAND or via BORG_PASSPHRASE_FD is incorrect.";
    assert_eq!(borg(wrong), "borg.wrong_passphrase");
    assert_eq!(borg("Local Exception"), "exit:2");
}

#[test]
fn a_status_of_its_own_is_the_program_s_verdict() {
    for (product, status, wanted) in [
        (Product::Restic, 3, "restic.incomplete"),
        (Product::Restic, 10, "restic.no_repository"),
        (Product::Restic, 11, "restic.locked"),
        (Product::Restic, 12, "restic.wrong_password"),
        (Product::Restic, 130, "restic.interrupted"),
        (Product::Restic, 77, "exit:77"),
        (Product::Borg, 1, "borg.warning"),
        (Product::Borg, 105, "borg.warning"),
        (Product::Borg, 100, "borg.file_changed"),
        (Product::Borg, 73, "borg.locked"),
        (Product::Borg, 52, "borg.wrong_passphrase"),
        (Product::Borg, 13, "borg.no_repository"),
        (Product::Borg, 137, "exit:137"),
        (Product::Rsync, 10, "rsync.connection"),
        (Product::Rsync, 255, "rsync.connection"),
        (Product::Rsync, 23, "rsync.partial"),
        (Product::Rsync, 24, "rsync.vanished"),
        (Product::Rsync, 25, "rsync.max_delete"),
        (Product::Rsync, 11, "exit:11"),
        (Product::Other, 1, "tar.changed"),
        (Product::Other, 2, "exit:2"),
    ] {
        assert_eq!(judged(product, status, "").0, wanted, "{product} {status}");
    }
    let changed = "/srv/log: file changed while we backed it up";
    assert_eq!(judged(Product::Borg, 1, changed).0, "borg.file_changed");
    let unread = format!("{changed}\n/srv/key: open: [Errno 13] Permission denied: 'key'");
    assert_eq!(judged(Product::Borg, 1, &unread).0, "borg.warning");
    let damaged = "Data integrity error: Segment entry checksum mismatch [segment 1, offset 8]\nFinished full repository check, errors found.";
    assert_eq!(judged(Product::Borg, 1, damaged).0, "borg.repo_damaged");
    let full = "rsync: [receiver] write failed on \"/mnt/big\": No space left on device (28)\nrsync error: error in file IO (code 11) at receiver.c(401) [receiver=3.2.7]";
    assert_eq!(judged(Product::Rsync, 11, full).0, "fs.disk_full");
}

#[test]
fn commands_are_recognised_behind_their_wrappers() {
    let shown = "Id=nightly.service\nExecStart={ path=/usr/bin/nice ; argv[]=/usr/bin/nice -n 19 /usr/bin/restic -q backup /home ; ignore_errors=no ; start_time=[Sun 2026-11-22 18:31:05 UTC] ; stop_time=[n/a] ; pid=12 ; code=exited ; status=11 }\nExecStart={ path=/bin/sh ; argv[]=/bin/sh -c borg check ; ignore_errors=no ; code=exited ; status=2/INVALIDARGUMENT }\nExecStart={ path=/usr/bin/rsync ; argv[]=/usr/bin/rsync -a /a /b ; code=killed ; status=9/KILL }\nExecStart={ path=/bin/true ; argv[]=/bin/true ; code=(null) ; status=0/0 }";
    let found: Vec<_> = commands(shown).iter().map(|c| (runs(c), c.status)).collect();
    assert_eq!(
        found,
        [
            (Some((Product::Restic, Operation::Backup)), Some(11)),
            (Some((Product::Borg, Operation::Check)), Some(2)),
            (Some((Product::Rsync, Operation::Backup)), None),
            (None, None),
        ]
    );
}

#[test]
fn only_what_makes_a_backup_and_says_how_it_ended_is_one() {
    let saves = |argv: &str| {
        let shown = format!(
            "ExecStart={{ path=/x ; argv[]={argv} ; ignore_errors=no ; code=exited ; status=0 }}"
        );
        saves(&commands(&shown)[0])
    };
    for yes in [
        "/usr/bin/nice -n 19 /usr/bin/restic backup /srv",
        "/usr/bin/borg create ::{now} /srv",
        "/usr/bin/borgmatic --verbosity 1",
        "/usr/bin/borgmatic prune create",
        "/usr/bin/rsync -a /srv backup:/srv",
        "/usr/bin/tar -C / -czf /mnt/a.tgz srv",
        "/usr/bin/tar czf /mnt/a.tgz /srv",
        "/bin/sh -c 'pg_dumpall | restic backup --stdin && restic forget --keep-last 3'",
        "/bin/sh -ec 'restic backup /srv; restic forget'",
        "/bin/bash -c 'set -e; cd /srv; borg create ::now .; borg prune'",
    ] {
        assert!(saves(yes), "{yes}");
    }
    for no in [
        "/usr/bin/restic check",
        "/usr/bin/restic backup --dry-run /srv",
        "/usr/bin/borg prune",
        "/usr/bin/borgmatic check",
        "/usr/bin/rsync --daemon --no-detach",
        "/usr/bin/tar -xf /mnt/a.tar",
        "/usr/bin/ssh other restic backup /srv",
        "/bin/sh -c 'restic backup /srv ; true'",
        "/bin/sh -c 'restic backup /srv; logger done'",
        "/bin/sh -c 'restic backup /srv || true'",
        "/bin/sh -c 'restic backup /srv | tee /var/log/restic'",
        "/usr/local/bin/restic-nightly",
    ] {
        assert!(!saves(no), "{no}");
    }
}
