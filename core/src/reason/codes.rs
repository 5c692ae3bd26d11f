//! What a reason may say: a stable word, and its English text with holes for its values.
//!
//! A hole names its value, and after a colon what it is: `counts`, `names`, `why` (other reasons), a
//! counted noun (`hosts`), or the set of words that it comes from (`risk`, `job`). Kept reasons name
//! their code: one that was ever said keeps its word.

macro_rules! codes {
    ($($name:ident = $word:literal, $english:literal;)+) => {
        crate::words! {
            /// What a reason says.
            pub enum Code ("reason") {
                $(#[doc = $english] $name = $word,)+
            }
        }

        impl Code {
            /// Its English text, with holes.
            pub const fn english(self) -> &'static str {
                match self { $(Self::$name => $english,)+ }
            }
        }
    };
}

codes! {
    // What nobody has put into a form.
    Words = "words", "{text}";

    // What a campaign waits for.
    Draft = "draft", "it is a draft: nobody has started it";
    AwaitsApproval = "awaits_approval", "a second person must approve it";
    BadSchedule = "bad_schedule", "its schedule cannot be read: {problem}";
    NoSchedule = "no_schedule", "somebody must start it: it has no schedule";
    Scheduled = "scheduled", "it is scheduled for {at}";
    HaltedNoRun = "halted_no_run", "the fleet is halted: no run begins";
    TimeCame = "time_came", "its time came: {at}";
    Paused = "paused", "it is paused: somebody must resume or abort it; {work:why}";
    AtWork = "at_work", "at work: {hosts:counts}";
    NothingAtWork = "nothing_at_work", "nothing is at work";
    RunExpired = "run_expired", "the run expired {at}: nothing more is begun, and {missed} hosts were not reached; {work:why}";
    Halted = "halted", "the fleet is halted: nothing begins; {work:why}";
    AllStarted = "all_started", "every host was started: {work:why}";
    MayJoin = "may_join", "hosts may join until {at}";
    WaveFull = "wave_full", "wave {wave} of {waves} is full";
    NoPlaceLeft = "no_place_left", "wave {wave} has no place left; {work:why}";
    NobodyHasLabel = "nobody_has_label", "wave {wave} is for hosts with {label}, and no host of the campaign has this label";
    Soaks = "soaks", "wave {wave} of {waves} is proved on {proved} of {reached} hosts reached; it soaks until {at}";
    GateWaits = "gate_waits", "wave {wave} of {waves} is full; its gate wants {percent} % proved of the hosts reached, with {least} at their end: {proved} of {reached} are proved, {ended} at their end ({hosts:counts})";
    OneAtOnce = "one_at_once", "one job is in flight, the most at once";
    ManyAtOnce = "many_at_once", "{most} jobs are in flight, the most at once";
    PerMinute = "per_minute", "{most} new jobs a minute are the most";
    NoMore = "no_more", "no more hosts may be started";
    HostsWait = "hosts_wait", "{n:hosts_wait}: {held:why}";
    JobsWait = "jobs_wait", "{n:jobs_wait} for a place before the next try";
    Unreachable = "unreachable", "not reachable";
    HostBusy = "host_busy", "another job is active on the host";
    Untold = "untold", "what the remediation needs to know is not told yet, looked at again {at}";
    Frozen = "frozen", "frozen by \"{name}\" until {at}";
    HoursOpen = "hours_open", "outside their hours, opens {at} ({zone})";
    HoursClosed = "hours_closed", "outside their hours, none opens within two weeks ({zone})";
    NoSuchZone = "no_such_zone", "no time zone is called \"{zone}\", mend their label";
    GroupBusy = "group_busy", "another host of their group is in flight";
    GroupDown = "group_down", "host {host} of their group may be down after its job; a retry, or a pause and a resume, lets them go on";
    WaveLabel = "wave_label", "wave {wave} is for hosts with {label}, and has {places} places left";
    SiteFull = "site_full", "site {site} has its {most} jobs";
    NoSiteFull = "no_site_full", "hosts without the label {label} has its {most} jobs";
    SiteBusy = "site_busy", "site {site} has its {most} jobs that cost the network";
    NoSiteBusy = "no_site_busy", "hosts without the label {label} has its {most} jobs that cost the network";

    // Why a campaign stopped, or came to its end.
    Crossed = "crossed", "{errors} of {started} hosts started are in error ({hosts:counts}): more than the {limit} of \"{threshold:threshold}\"";
    InWave = "in_wave", "wave {wave}: {crossed:why}";
    Relapsed = "relapsed", "wave {wave}: on host {host} the failure came back after its fix: {hosts} of {started} hosts started, more than the {limit} of \"regressions\"";
    RelapsedMore = "relapsed_more", "wave {wave}: on host {host} the failure came back after its fix, and the like on {more} more: {hosts} of {started} hosts started, more than the {limit} of \"regressions\"";
    Regressed = "regressed", "wave {wave}: on host {host} another failure appeared after its job began: {hosts} of {started} hosts started, more than the {limit} of \"regressions\"";
    RegressedMore = "regressed_more", "wave {wave}: on host {host} another failure appeared after its job began, and the like on {more} more: {hosts} of {started} hosts started, more than the {limit} of \"regressions\"";
    GateHopeless = "gate_hopeless", "the gate of wave {wave} cannot hold: proved on {proved} of {reached} hosts reached, {percent} % are wanted of at least {least} ({hosts:counts})";
    NoHosts = "no_hosts", "no host was found for it";
    OneEnded = "one_ended", "its host came to its end: {hosts:counts}";
    AllEnded = "all_ended", "all {n} hosts came to their end: {hosts:counts}";
    MissedExpired = "missed_expired", "{hosts:counts}; {missed} not reached: when the run expired";
    MissedMost = "missed_most", "{hosts:counts}; {missed} not reached: the most hosts were started";
    SettingsChanged = "settings_changed", "settings or catalogue have changed, and a second person would have to approve it: {needs:why}";
    ApprovedBy = "approved_by", "approved by {by}";
    ApprovedPaused = "approved_paused", "approved anew by {by}: it may be resumed";
    Edited = "edited", "edited";

    // Why it does not do what somebody asks of it.
    ApproveFirst = "approve_first", "a second person must approve it first, as it is now: {needs:why}";
    WriteAnother = "write_another", "settings or catalogue have changed, and a second person would have to approve it: write another; {needs:why}";
    OwnWork = "own_work", "who wrote or changed a campaign cannot approve it: ask a second person";
    ChangedSince = "changed_since", "the campaign was changed since you saw it: read it again before you approve it";
    NobodyNow = "nobody_now", "it finds no host now: nothing would be done; its preview says whom it leaves out";
    NothingToRetry = "nothing_to_retry", "nothing is to be retried: no host ended in error while its failure stands";

    // Why a second person must approve it.
    NeedsDangerous = "needs_dangerous", "it allows dangerous remediations";
    NeedsIrreversible = "needs_irreversible", "it cannot be taken back: {remediations:names}";
    NeedsManyHosts = "needs_many_hosts", "it may reach {hosts} hosts, more than {most}";
    NeedsUnproven = "needs_unproven", "not yet run on a real system, and for more than {most} hosts: {remediations:names}";
    NoStandardChange = "no_standard_change", "there is no standard change \"{name}\"";
    OverStandardRisk = "over_standard_risk", "its risk is {risk:risk}, the standard change \"{name}\" has {most:risk}";
    OverStandardHosts = "over_standard_hosts", "it may reach {hosts} hosts, the standard change \"{name}\" {most}";
    OverStandardReboot = "over_standard_reboot", "it restarts {reboot:reboot_policy}, the standard change \"{name}\" {most:reboot_policy}";
    NotInStandard = "not_in_standard", "not part of the standard change \"{name}\": {remediations:names}";

    // Why a host of a campaign is left out, or waits.
    NotInPlan = "not_in_plan", "it is not in this incident's plan; one of: {remediations}";
    ByHand = "by_hand", "{remediation} is {risk:risk}: no agent runs it";
    DangerousAlone = "dangerous_alone", "{remediation} is dangerous: it needs the approval of a second person";
    OverRisk = "over_risk", "the risk of {remediation} is {risk:risk}, over the allowed {allowed:risk}";
    RestartsHost = "restarts_host", "{remediation} restarts the host, or may, and no restart is allowed";
    PlanEmpty = "plan_empty", "the plan is empty";
    NoRemediation = "no_remediation", "the catalogue knows no remediation for this incident";
    NoEvidence = "no_evidence", "the step {step} needs what the probe {probe} finds, and the host has not told it";
    OtherVersion = "other_version", "{remediation} is not the version {version} any more that was written and approved";
    NotApproved = "not_approved", "{remediation} is not among what the campaign may do as it was written and approved";
    NoWindow = "no_window", "no window opens for it before the campaign expires";
    FailureGone = "failure_gone", "its failure is not known any more";
    FailureUnknown = "failure_unknown", "its failure {incident} is not known any more";
    FailureOver = "failure_over", "its failure was {state:incident} before its turn came";
    NothingToUndo = "nothing_to_undo", "nothing can be taken back on it any more";
    HostIs = "host_is", "the host is {state:host}";

    // Why a remediation stands where it stands in a plan, and what was counted of it.
    PersonDoes = "person_does", "a person does this: steps against {cause}";
    NeverDone = "never_done", "never done: the better way is told";
    Futile = "futile", "it would meet the same failure: the cause is confirmed, and a person puts it right first";
    TriedAlready = "tried_already", "version {version} was tried already on the same evidence";
    OverAllowed = "over_allowed", "its risk is {risk:risk}; only up to {allowed:risk} is allowed here";
    Restarts = "restarts", "it restarts the host, and no restart is allowed here";
    MayRestart = "may_restart", "it may restart the host, and no restart is allowed here";
    Chance = "chance", "{percent} % chance against {cause} for a cost of {cost} min";
    ChanceCounted = "chance_counted", "{percent} % chance against {cause} ({counted:why}) for a cost of {cost} min";
    ChanceUnproven = "chance_unproven", "{percent} % chance against {cause} for a cost of {cost} min; it has not yet run on a real system of its kind";
    ChanceCountedUnproven = "chance_counted_unproven", "{percent} % chance against {cause} ({counted:why}) for a cost of {cost} min; it has not yet run on a real system of its kind";
    WouldWait = "would_wait", "{reason:why}; it would wait: {probe}";
    Cured = "cured", "cured {cured} of {told} here";
    CuredBuild = "cured_build", "cured {cured} of {told} here, {here} of {there} on this build";
    CuredBack = "cured_back", "cured {cured} of {told} here; {back} came back";
    CuredBuildBack = "cured_build_back", "cured {cured} of {told} here, {here} of {there} on this build; {back} came back";

    // What a job tries next, and why nothing more.
    TriedMost = "tried_most", "it was tried {n} times, which is the most";
    PolicyStands = "policy_stands", "a policy stands in the way: an admin changes it, no further try does";
    MustRestart = "must_restart", "the host must restart first, and nothing that is left of the plan restarts it";
    MustRestartNot = "must_restart_not", "the host must restart first, and no restart is allowed here";
    NextTooLate = "next_too_late", "the next try would come after it expires";
    NothingMore = "nothing_more", "nothing more is tried: {remediation}: {reason:why}";
    NothingKnown = "nothing_known", "nothing more is tried: the catalogue knows no further remediation";
    CampaignAborted = "campaign_aborted", "its campaign was aborted: nothing more is tried";
    Choosing = "choosing", "try {attempt} ended {state:job}: {said:why}; the next remediation is being chosen";
    Next = "next", "next: {remediation} against {cause}: {reason:why}";

    // How the server ends a job.
    CancelledBy = "cancelled_by", "cancelled by {by}: {reason}";
    CancelledUnbegun = "cancelled_unbegun", "cancelled, and never begun";
    NotBegun = "not_begun", "the host did not begin it before it expired";
    OverAtLast = "over_at_last", "30 days after it expired it has not come to its end";
    SilentTooLong = "silent_too_long", "the host has been silent about it for too long";
    RestartLate = "restart_late", "the restart it needs did not come in time";
    NoProof = "no_proof", "no proof came in time";
    Recalled = "recalled", "taken back by its campaign: {reason:why}";
    EndedBefore = "ended_before", "{reason:why}; try {attempt} ended {state:job}: {said:why}";

    // What agents say of a job that waits, or that they refuse.
    HaltedThere = "halted_there", "the fleet is halted: {reason}";
    HaltedUnknown = "halted_unknown", "whether it is halted cannot be read on this host; its server says it with the next session";
    FrozenThere = "frozen_there", "a freeze until {at}: {name}";
    WindowOpens = "window_opens", "waits for its window: opens {at}";
    WindowCloses = "window_closes", "waits for its window: this one closes {at} and the work takes about {minutes} min; opens {opens}";
    WindowLast = "window_last", "waits for its window: this one closes {at} and the work takes about {minutes} min; none opens before the order expires";
    WindowNone = "window_none", "waits for its window: none opens before the order expires";
    ByServerClock = "by_server_clock", "{reason:why} (by its server's clock it is {server}, by its own {own})";
    ClockWrong = "clock_wrong", "clock_wrong: by this host's clock it is {now}, and the order is of {since}";
    LowBattery = "low_battery", "low_battery: the host runs on battery, {percent} % left";
    Metered = "metered", "metered_network: the network in use is marked as metered";
    OnBattery = "on_battery", "on_battery: the host runs on battery";
    KillSwitch = "kill_switch", "the host's kill switch is set: {file}";
    OtherWork = "other_work", "the agent had other work, or did not run";
    TimeWasOver = "time_was_over", "its time was over before it could begin: {reason:why}";
    CeilingRisk = "ceiling_risk", "the host's own ceiling is \"{ceiling}\" and {what} is {risk:risk}; only the host's admin raises it (ceiling.toml on the host)";
    CeilingSteps = "ceiling_steps", "the host's own ceiling does not allow {kind} steps";
    CeilingRestart = "ceiling_restart", "the host's own ceiling does not allow a restart";
    CeilingHours = "ceiling_hours", "the host's own hours for work are {hours} UTC";
    CeilingDay = "ceiling_day", "the host's own limit of {most} jobs a day is reached";
    OrderNoRestart = "order_no_restart", "\"{remediation}\" restarts the host, and the order allows no restart";
    OrderNoWindow = "order_no_window", "\"{remediation}\" restarts the host, which the order allows in its window only, and it has none";
    RestartWaits = "restart_waits", "the restart waits: {reason:why}";
    RestartNever = "restart_never", "not restarted within {hours} hours: {reason:why}";

    // What agents say of the work itself.
    CauseGone = "cause_gone", "the cause is not there any more: {proof}";
    CauseThere = "cause_there", "the cause is there: {proof}";
    CauseUnclear = "cause_unclear", "its own probe does not see the cause, which settles nothing: {proof}";
    CauseUnknown = "cause_unknown", "whether the cause is still there is not known: {proof}";
    CauseStays = "cause_stays", "the cause is still there: {proof}";
    CauseWent = "cause_went", "the cause is gone: {proof}";
    NotCured = "not_cured", "the steps went well, and it is not cured: {reason:why}";
    NotFixed = "not_fixed", "it is not fixed: {reason:why}";
    NextRunAwaited = "next_run_awaited", "the next natural run of the failing operation is awaited";
    Repeats = "repeats", "the failing operation is repeated";
    NoNaturalRun = "no_natural_run", "no natural run of the failing operation was seen";
    AllTakenBack = "all_taken_back", "{reason:why}; all that was done was taken back";
    StepSays = "step_says", "step {step} ({title}): {said:why}";
    RestartNext = "restart_next", "a restart is the next step";
    TookTooLong = "took_too_long", "it took longer than {seconds} s";
    StoppedTooOften = "stopped_too_often", "the agent was stopped {n} times under it, and goes on {most} times at most";
    TakenBackTold = "taken_back_told", "taken back: {reason}";
}
