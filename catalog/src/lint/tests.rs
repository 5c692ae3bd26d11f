//! Each rule fires: a small right catalogue is changed in one place.

use crate::load::{LintProblem, load, parse};

/// The smallest catalogue that holds an automatic remediation of each system.
pub(super) const RIGHT: &str = r#"
[[code]]
code = "apt.dpkg_interrupted"
area = "apt"
kind = "failure"
confidence = "official"
retry = "permanent"
meaning = { en = "dpkg was interrupted.", ru = "dpkg прерван." }
source = "apt messages"
causes = ["interrupted", "sources"]

[[binding]]
product = "apt"
code = "apt.dpkg_interrupted"
causes = { interrupted = 0.8, sources = 0.1 }
source = "expert"

[[cause]]
id = "interrupted"
name = { en = "interrupted", ru = "прерван" }
explanation = { en = "It was interrupted.", ru = "Он прерван." }
own_probe = "pending"
remediations = ["configure", "by_hand"]
seeds = ["S1"]
indications = [{ probe = "pending", yes = "decisive", no = "decisive_against" }]

[[cause]]
id = "sources"
name = { en = "cache", ru = "кэш" }
explanation = { en = "The cache is old.", ru = "Кэш стар." }
own_probe = "cache"
remediations = ["clear"]
indications = [{ probe = "cache", yes = "strong", no = "strong_against" }]

[[probe]]
id = "pending"
name = { en = "interrupted?", ru = "прерван?" }
question = { ask = "dpkg_interrupted" }

[[probe]]
id = "cache"
name = { en = "old cache?", ru = "старый кэш?" }
question = { ask = "stale_folder", place = { base = "windows", path = "SoftwareDistribution/Download" }, days = 1, min_mib = 1 }

[[probe]]
id = "locked"
name = { en = "locked?", ru = "занято?" }
question = { ask = "apt_lock_held" }

[[remediation]]
id = "configure"
version = 1
os = "linux"
name = { en = "finish", ru = "завершить" }
explanation = { en = "Finishes.", ru = "Завершает." }
risk = "disruptive"
minutes = 5
verification = "apt_check"
blockers = ["locked"]

[[remediation.step]]
do = "tool.run"
tool = "dpkg.configure_all"
timeout_s = 3600

[[remediation]]
id = "by_hand"
version = 1
os = "linux"
name = { en = "by hand", ru = "вручную" }
explanation = { en = "By hand.", ru = "Вручную." }
risk = "guided"
minutes = 5
verification = "apt_check"
guide = [{ en = "Look.", ru = "Посмотрите." }]

[[remediation]]
id = "clear"
version = 1
os = "windows"
name = { en = "clear", ru = "очистить" }
explanation = { en = "Clears.", ru = "Очищает." }
risk = "disruptive"
reboot = "maybe"
minutes = 5
verification = "next_run"

[[remediation.step]]
do = "service.stop"
service = "wuauserv"
timeout_s = 60

[[remediation.step]]
do = "file.rename"
place = { base = "windows", path = "SoftwareDistribution/Download" }
timeout_s = 60

[[remediation.step]]
do = "registry.set"
hive = "hklm"
key = "SYSTEM\\CurrentControlSet\\Services\\WIMMount"
name = "ImagePath"
data = { expand_sz = "x.sys" }
timeout_s = 60

[[remediation.step]]
do = "service.start"
service = "wuauserv"
timeout_s = 60
always = true
"#;

pub(super) fn problems(text: &str) -> Vec<LintProblem> {
    load(&[("small.toml", text)]).err().unwrap_or_default()
}

#[test]
fn the_small_catalogue_is_right() {
    assert_eq!(problems(RIGHT), []);
}

/// (what is changed, into what, what the problem must say)
const CHANGES: &[(&str, &str, &str)] = &[
    // the products
    (
        "remediations = [\"configure\", \"by_hand\"]",
        "products = [\"dnf\"]\nremediations = [\"configure\", \"by_hand\"]",
        "interrupted is no cause of apt",
    ),
    // the form
    ("kind = \"failure\"", "kind = \"broken\"", "unknown kind \"broken\""),
    ("area = \"apt\"", "aera = \"apt\"", "unknown field"),
    (
        "meaning = { en = \"dpkg was interrupted.\", ru = \"dpkg прерван.\" }",
        "meaning = { en = \"x\" }",
        "missing field `ru`",
    ),
    ("timeout_s = 3600", "timeout_s = 3600\nshell = \"rm\"", "unknown field"),
    ("tool = \"dpkg.configure_all\"", "tool = \"bash\"", "unknown tool \"bash\""),
    ("verification = \"apt_check\"\nblockers", "blockers", "missing field `verification`"),
    (
        "[[binding]]",
        "[[binding]]\nproduct = \"apt\"\ncode = \"apt.dpkg_interrupted\"\ncauses = { sources = 0.1 }\nsource = \"x\"\n[[binding]]",
        "stands twice",
    ),
    ("id = \"cache\"\nname", "id = \"pending\"\nname", "the probe pending stands twice"),
    // nothing dangles, nothing is left over
    (
        "causes = [\"interrupted\", \"sources\"]",
        "causes = [\"nobody\"]",
        "the cause nobody does not exist",
    ),
    (
        "code = \"apt.dpkg_interrupted\"\ncauses",
        "code = \"apt.other\"\ncauses",
        "the code apt.other does not exist",
    ),
    ("own_probe = \"cache\"", "own_probe = \"nothing\"", "the probe nothing does not exist"),
    (
        "remediations = [\"clear\"]",
        "remediations = [\"clear\", \"gone\"]",
        "the remediation gone does not exist",
    ),
    ("blockers = [\"locked\"]", "blockers = [\"lost\"]", "the probe lost does not exist"),
    ("blockers = [\"locked\"]", "", "no cause and no blocker asks it"),
    ("\"configure\", \"by_hand\"", "\"configure\"", "no cause names it"),
    // codes and bindings
    ("ru = \"dpkg прерван.\"", "ru = \" \"", "the meaning is missing in ru"),
    ("interrupted = 0.8", "interrupted = 0.85", "the shares sum to 0.95"),
    ("interrupted = 0.8", "interrupted = 0.0", "is not above 0"),
    ("interrupted = 0.8", "interrupted = -0.2", "is not above 0"),
    ("source = \"expert\"", "source = \"\"", "the source is missing"),
    // causes
    ("en = \"It was interrupted.\"", "en = \"\"", "the explanation is missing in en"),
    ("own_probe = \"pending\"\n", "", "own_probe is missing, and configure acts"),
    (
        "own_probe = \"pending\"",
        "own_probe = \"locked\"",
        "own_probe locked is not among its indications",
    ),
    ("yes = \"strong\", no = \"strong_against\"", "yes = \"strong\"", "its no must speak against"),
    ("yes = \"strong\", no = \"strong_against\"", "yes = \"nothing\"", "says nothing"),
    ("seeds = [\"S1\"]", "seeds = [\"S51\"]", "not one of S1 to S50"),
    (
        "remediations = [\"clear\"]",
        "remediations = [\"clear\", \"configure\"]",
        "own_probe cache has no answer on linux",
    ),
    // probes
    (
        "path = \"SoftwareDistribution/Download\" }, days",
        "path = \"../x\" }, days",
        "must be relative",
    ),
    (
        "question = { ask = \"apt_lock_held\" }",
        "question = { ask = \"log_says\", contains = \"a\" }",
        "at least 4 characters",
    ),
    (
        "question = { ask = \"apt_lock_held\" }",
        "question = { ask = \"read_only\", path = \"C:\\\\\" }",
        "no system has both",
    ),
    (
        "question = { ask = \"apt_lock_held\" }",
        "question = { ask = \"store_damaged\" }",
        "the blocker locked has no answer on linux",
    ),
    // remediations
    (
        "version = 1\nos = \"linux\"\nname = { en = \"finish\"",
        "version = 0\nos = \"linux\"\nname = { en = \"finish\"",
        "versions begin at 1",
    ),
    ("risk = \"disruptive\"\nminutes", "risk = \"safe\"\nminutes", "a step has no undo"),
    (
        "id = \"clear\"\nversion = 1\nos = \"windows\"\nname = { en = \"clear\", ru = \"очистить\" }\nexplanation = { en = \"Clears.\", ru = \"Очищает.\" }\nrisk = \"disruptive\"",
        "id = \"free_disk_space.x\"\nversion = 1\nos = \"windows\"\nname = { en = \"clear\", ru = \"очистить\" }\nexplanation = { en = \"Clears.\", ru = \"Очищает.\" }\nrisk = \"safe\"",
        "never safe",
    ),
    ("risk = \"guided\"", "risk = \"safe\"", "it must have 1 to 64 steps"),
    (
        "risk = \"disruptive\"\nminutes",
        "risk = \"refused\"\nminutes",
        "a refused remediation has no steps",
    ),
    ("guide = [{ en = \"Look.\", ru = \"Посмотрите.\" }]", "", "needs a guide"),
    ("ru = \"Посмотрите.\"", "ru = \"\"", "a line of the guide is missing in ru"),
    (
        "verification = \"next_run\"",
        "verification = \"apt_check\"",
        "apt_check cannot verify on windows",
    ),
    // steps
    ("timeout_s = 3600", "timeout_s = 0", "timeout_s must be 1 to 14400"),
    ("timeout_s = 3600", "timeout_s = 14401", "timeout_s must be 1 to 14400"),
    (
        "path = \"SoftwareDistribution/Download\" }\n",
        "path = \"a/../../b\" }\n",
        "must be relative",
    ),
    ("path = \"SoftwareDistribution/Download\" }\n", "path = \"/a\" }\n", "must be relative"),
    ("path = \"SoftwareDistribution/Download\" }\n", "path = \"a\\\\b\" }\n", "must be relative"),
    (
        "base = \"windows\", path = \"SoftwareDistribution/Download\" }\n",
        "base = \"etc\", path = \"x\" }\n",
        "does not exist on windows",
    ),
    (
        "place = { base = \"windows\", path = \"SoftwareDistribution/Download\" }\n",
        "place = { evidence = \"gone\" }\n",
        "the probe gone does not exist",
    ),
    (
        "key = \"SYSTEM\\\\CurrentControlSet",
        "key = \"SOFTWARE\\\\Policies",
        "registry that policy owns is never written",
    ),
    (
        "key = \"SYSTEM\\\\CurrentControlSet",
        "key = \"\\\\CurrentControlSet",
        "without an outer backslash",
    ),
    ("always = true", "always = false", "no `always` step starts it again"),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"service.stop\"\nservice = \"apt-daily.timer\"",
        "is no service name on windows",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"service.set_start\"\nstart = \"disabled\"\nservice = \"wuauserv\"",
        "never disabled",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"service.stop\"\nservice = \"a b\"",
        "is no service name",
    ),
    (
        "tool = \"dpkg.configure_all\"",
        "tool = \"sfc.scannow\"",
        "sfc.scannow does not exist on linux",
    ),
    ("tool = \"dpkg.configure_all\"", "tool = \"systemctl.reset_failed\"", "needs value_from"),
    (
        "tool = \"dpkg.configure_all\"",
        "tool = \"dpkg.configure_all\"\nvalue_from = \"pending\"",
        "takes no value",
    ),
    (
        "do = \"tool.run\"\ntool = \"dpkg.configure_all\"",
        "do = \"reboot\"",
        "reboot must be always",
    ),
    (
        "do = \"tool.run\"\ntool = \"dpkg.configure_all\"",
        "do = \"wait_until\"\nprobe = \"cache\"",
        "the probe cache has no answer on linux",
    ),
    (
        "do = \"tool.run\"\ntool = \"dpkg.configure_all\"",
        "do = \"file.restore\"\nplace = { base = \"var_lib\", path = \"x\" }",
        "nothing of this remediation moved it away",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"firewall.suspend\"\nminutes = 5",
        "the remediation is dangerous",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"firewall.suspend\"\nminutes = 11",
        "minutes must be 1 to 10",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"antivirus.exclude\"\nplaces = []\nminutes = 61",
        "minutes must be 1 to 60",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"antivirus.exclude\"\nplaces = []\nminutes = 5",
        "1 to 8 places are excluded",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"antivirus.exclude\"\nplaces = [{ base = \"etc\", path = \"x\" }]\nminutes = 5",
        "below a folder of Windows",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"reparse.list\"\nevidence = \"cache\"",
        "does not look for reparse points",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"reparse.detach\"\nevidence = \"cache\"",
        "taking a volume off its folder is dangerous",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"reparse.list\"\nevidence = \"gone\"",
        "the probe gone does not exist",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"update.download\"",
        "cost more on the network",
    ),
    (
        "do = \"service.stop\"\nservice = \"wuauserv\"",
        "do = \"service.set_start\"\nstart = \"manual\"\non = [{ build = \"ten\", start = \"auto\" }]\nservice = \"wuauserv\"",
        "on holds builds of Windows",
    ),
    (
        "do = \"tool.run\"\ntool = \"dpkg.configure_all\"",
        "do = \"update.scan\"",
        "there is no such step on linux",
    ),
];

#[test]
fn every_rule_fires() {
    for (from, to, wanted) in CHANGES {
        assert_eq!(RIGHT.matches(from).count().min(1), 1, "{from:?} is not in the small catalogue");
        let found = problems(&RIGHT.replacen(from, to, 1));
        let said = found.iter().any(|p| p.message.contains(wanted));
        assert!(said, "{from:?} became {to:?}: wanted {wanted:?}, got {found:#?}");
    }
}

#[test]
fn a_cause_that_nothing_leads_to_is_found() {
    let text = RIGHT.replacen(", \"sources\"]", "]", 1).replacen(", sources = 0.1", "", 1);
    let found = problems(&text);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].place, "cause sources");
    assert_eq!(found[0].message, "no code and no binding leads to it");
}

#[test]
fn verification_by_the_causes_own_probe_needs_one() {
    let text = RIGHT.replacen("own_probe = \"cache\"\n", "", 1).replacen(
        "verification = \"next_run\"",
        "verification = \"own_probe\"",
        1,
    );
    let found = problems(&text);
    assert!(found.iter().any(|p| p.message.contains("nothing verifies it")), "{found:#?}");
    // A no that settles nothing proves nothing.
    let by_own = RIGHT.replacen("verification = \"next_run\"", "verification = \"own_probe\"", 1);
    assert_eq!(problems(&by_own), []);
    let weak = by_own.replacen("no = \"strong_against\"", "no = \"weak_against\"", 1);
    let found = problems(&weak);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].message.contains("no own_probe whose no settles it"), "{found:#?}");
}

#[test]
fn an_image_repair_may_want_a_restart() {
    let step = "do = \"service.stop\"\nservice = \"wuauserv\"";
    let text = RIGHT
        .replacen(step, "do = \"tool.run\"\ntool = \"dism.restore_health\"", 1)
        .replacen("reboot = \"maybe\"\n", "", 1);
    assert!(problems(&text).iter().any(|p| p.message.contains("may want a restart")));
}

#[test]
fn a_wrong_file_does_not_hide_the_others() {
    let (catalogue, problems) =
        parse(&[("wrong.toml", "[[code]]\ncode = 1"), ("small.toml", RIGHT)]);
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].place, "wrong.toml");
    assert_eq!(catalogue.causes.len(), 2);
}

#[test]
fn the_version_tells_catalogues_apart() {
    let version = |text| parse(&[("small.toml", text)]).0.version;
    assert_eq!(version(RIGHT), version(RIGHT));
    assert_ne!(version(RIGHT), version(&RIGHT.replacen("0.8", "0.7", 1)));
}

#[test]
fn what_only_logs_tell_is_no_own_probe() {
    let past = "question = { ask = \"apt_update_error\", contains = \"Hash Sum\" }";
    let logs = RIGHT.replacen("question = { ask = \"dpkg_interrupted\" }", past, 1);
    let found = problems(&logs);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].message.starts_with("pending cannot be own_probe"), "{found:#?}");
    // Without one, the operation must be repeated or observed as proof.
    let without = logs.replacen("own_probe = \"pending\"\n", "", 1);
    assert_eq!(problems(&without), []);
    assert_eq!(problems(&without.replacen("\"apt_check\"", "\"next_run\"", 1)), []);
    let unproved = without.replacen("\"apt_check\"", "\"own_probe\"", 1);
    assert!(problems(&unproved).iter().any(|p| p.message.contains("own_probe is missing")));
}
