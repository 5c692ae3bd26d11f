//! The pages of campaigns: written, previewed, started, stopped; said in both languages, and inert
//! whatever an agent says.

mod http_support;

use axum::http::StatusCode;
use fleetmend_core::campaign::CampaignState;
use fleetmend_core::ids::{CampaignId, HostId, SpoolEpoch};
use fleetmend_core::job::{JobState, JobUpdate, ProofLevel};
use fleetmend_core::spool_item::SpoolItem;
use fleetmend_core::time::Clock as _;
use fleetmend_core::token::Role;
use fleetmend_server::background::tasks::Campaigns;
use fleetmend_server::background::{BackgroundTask as _, Outcome};
use fleetmend_store::{Campaign, HostItems, JobFilter, PageRequest, Who};
use http_support::{Answered, HOSTILE, Site, id};
use serde_json::json;

/// What the form of a problem's page leads to, with strict defaults.
const WRITTEN: &str = "name=Interrupted+dpkg&reason=change+17&change=CHG-17&cause=dpkg_interrupted\
    &product=apt&operation=install&max_risk=disruptive";

/// The same, changing nothing: that takes nobody's approval.
const VERIFIES: &str = "name=Interrupted+dpkg&reason=change+17&change=CHG-17&cause=dpkg_interrupted\
    &product=apt&operation=install&remedy=verify";

/// The part of a page that is its own.
fn main_of(text: &str) -> String {
    let (_, rest) = text.split_once("<main ").expect("a main part");
    let (main, _) = rest.split_once("</main>").expect("its end");
    let lines: Vec<&str> = main.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    format!("<main {}", lines.join("\n"))
}

fn inert(path: &str, text: &str) {
    assert!(!text.contains(HOSTILE), "{path} holds an agent's text as it is");
    for bad in ["<script>alert", "<img src=x", " style=", " onclick=", "javascript:"] {
        assert!(!text.contains(bad), "{path} holds {bad}");
    }
    for id in text.split(" id=\"").skip(1).map(|p| p.split('"').next().unwrap_or_default()) {
        let times = text.matches(&format!(" id=\"{id}\"")).count();
        assert_eq!(times, 1, "{path}: the id {id} stands {times} times");
    }
    for set in ["camp.", "camps.", "cform.", "act.", "freeze.", "halt.", "group.", "nav.", "col."] {
        assert!(!text.contains(&format!(">{set}")), "{path} shows a key of {set}");
    }
}

struct Person {
    cookie: String,
    token: String,
}

impl Person {
    async fn of(site: &Site, role: Role) -> Self {
        let cookie = site.log_in(&site.token(role).await).await;
        let token = site.form_token(&cookie).await;
        Self { cookie, token }
    }

    async fn form(&self, site: &Site, path: &str, fields: &str) -> Answered {
        site.form(&self.cookie, path, &format!("form_token={}&{fields}", self.token)).await
    }

    /// A page in both languages.
    async fn looks(&self, site: &Site, path: &str) -> (Answered, Answered) {
        let en = site.page(&self.cookie, path, "en").await;
        let ru = site.page(&self.cookie, path, "ru").await;
        inert(path, &en.text);
        inert(path, &ru.text);
        assert_ne!(main_of(&en.text), main_of(&ru.text), "{path} is not translated");
        (en, ru)
    }
}

/// Eight hosts that fail alike, and one that waits to be accepted.
async fn fleet(site: &Site) {
    site.fleet().await;
    for n in 3..10 {
        let host = site.host(n, &format!("web-{n}"), false, n == 5).await;
        site.failure(host, n, "dpkg was interrupted").await;
    }
}

#[tokio::test]
async fn a_campaign_is_written_previewed_started_and_stopped() {
    let site = Site::new().await;
    fleet(&site).await;
    let author = Person::of(&site, Role::Author).await;

    let empty = author.looks(&site, "/campaigns").await.0;
    assert!(empty.text.contains("href=\"/\">To the problems"), "{}", main_of(&empty.text));
    let problem = "/problems?cause=dpkg_interrupted&product=apt&operation=install";
    let problem = author.looks(&site, problem).await.0;
    let form = "/campaigns/new?cause=dpkg_interrupted&#38;product=apt&#38;operation=install";
    assert!(problem.text.contains(form), "{}", main_of(&problem.text));
    let (form, _) = author.looks(&site, &form.replace("&#38;", "&")).await;
    assert!(form.text.contains("name=\"abort\" value=\"5%\""), "strict defaults stand in the form");
    assert!(!form.text.contains("role=\"alert\""), "nothing is wrong before anything was asked");

    let (preview, preview_ru) =
        author.looks(&site, &format!("/campaigns/preview?{VERIFIES}")).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", main_of(&preview.text));
    assert!(preview.text.contains("Start on 1 of 8 hosts"), "{}", main_of(&preview.text));
    assert!(preview.text.contains("gets no orders: 1 host"), "why a host is left out");
    insta::assert_snapshot!("preview_en", hidden(&main_of(&preview.text)));
    insta::assert_snapshot!("preview_ru", hidden(&main_of(&preview_ru.text)));

    let made = author.form(&site, "/campaigns", &format!("{VERIFIES}&then=draft")).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", main_of(&made.text));
    let path = made.header("location").to_owned();
    let (draft, _) = author.looks(&site, &path).await;
    for there in ["Start…", "Change…", "Cancel…", "It has not begun"] {
        assert!(draft.text.contains(there), "{there}: {}", main_of(&draft.text));
    }
    assert!(!draft.text.contains("Pause…"));
    author.looks(&site, &format!("{path}/preview")).await;

    let (ask, _) = author.looks(&site, &format!("{path}/start")).await;
    assert!(ask.text.contains("It is for 8 hosts. It begins on 1;"), "{}", main_of(&ask.text));
    let started = author.form(&site, &format!("{path}/start"), "reason=go").await;
    assert_eq!(started.header("location"), path, "{}", main_of(&started.text));
    let (running, running_ru) = author.looks(&site, &path).await;
    assert!(running.text.contains("8 waiting"), "{}", main_of(&running.text));
    insta::assert_snapshot!("running_en", above_hosts(&main_of(&running.text)));
    insta::assert_snapshot!("running_ru", above_hosts(&main_of(&running_ru.text)));
    let waiting = author.looks(&site, &format!("{path}?outcome=waiting")).await.0;
    assert!(waiting.text.contains("8 of 8"), "{}", main_of(&waiting.text));
    let none = author.looks(&site, &format!("{path}?outcome=errors")).await.0;
    assert!(none.text.contains("No host fits the filter"));

    // Who operates may stop it, and not let it go on.
    let operator = Person::of(&site, Role::Operator).await;
    let (ask, _) = operator.looks(&site, &format!("{path}/pause")).await;
    assert!(ask.text.contains("8 hosts wait"), "{}", main_of(&ask.text));
    let unsaid = operator.form(&site, &format!("{path}/pause"), "reason=").await;
    assert!(unsaid.status.is_client_error(), "a reason is wanted");
    let paused = operator.form(&site, &format!("{path}/pause"), "reason=too+loud").await;
    assert_eq!(paused.status, StatusCode::SEE_OTHER, "{}", main_of(&paused.text));
    let (page, _) = operator.looks(&site, &path).await;
    assert!(page.text.contains("too loud") && !page.text.contains("Resume…"));
    let forbidden = operator.form(&site, &format!("{path}/resume"), "reason=on").await;
    assert_eq!(forbidden.status, StatusCode::FORBIDDEN);
    let resumed = author.form(&site, &format!("{path}/resume"), "reason=on").await;
    assert_eq!(resumed.status, StatusCode::SEE_OTHER);
    // What is not possible now is said where it was asked.
    let again = author.form(&site, &format!("{path}/resume"), "reason=on").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text.contains("role=\"alert\""), "{}", main_of(&again.text));
    let aborted = operator.form(&site, &format!("{path}/abort"), "reason=enough").await;
    assert_eq!(aborted.status, StatusCode::SEE_OTHER);
    let (page, _) = author.looks(&site, &path).await;
    assert!(page.text.contains("8 not reached"), "{}", main_of(&page.text));
    author.looks(&site, &format!("{path}/undo")).await;
    author.looks(&site, &format!("{path}/retry")).await;
    let (list, _) = author.looks(&site, "/campaigns?state=aborted").await;
    assert!(list.text.contains("Interrupted dpkg") && list.text.contains("enough"));

    let viewer = Person::of(&site, Role::Viewer).await;
    let (page, _) = viewer.looks(&site, &path).await;
    assert!(!page.text.contains("/retry\"") && !page.text.contains("/undo\""));
    let closed = site.page(&viewer.cookie, "/campaigns/new", "en").await;
    assert_eq!(closed.status, StatusCode::FORBIDDEN);
}

/// A page without what changes with every run.
fn hidden(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("name=\"form_token\" value=\"") {
        out.push_str(before);
        out.push_str("name=\"form_token\" value=\"…\"");
        rest = after.split_once('"').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    without_ids(&out)
}

/// A text without its ids: those of campaigns are drawn.
fn without_ids(text: &str) -> String {
    let is_id = |text: &str| {
        text.char_indices().all(|(at, c)| match at {
            8 | 13 | 18 | 23 => c == '-',
            _ => c.is_ascii_hexdigit(),
        })
    };
    let (mut out, mut rest) = (String::new(), text);
    while let Some(c) = rest.chars().next() {
        let id = rest.get(..36).is_some_and(is_id);
        out.push(if id { '…' } else { c });
        rest = &rest[if id { 36 } else { c.len_utf8() }..];
    }
    out
}

/// What stands above the list of hosts: in which order they are taken is drawn.
fn above_hosts(text: &str) -> String {
    hidden(text.split("<h2 id=\"hosts\"").next().unwrap_or_default())
}

#[tokio::test]
async fn a_bad_field_is_named_beside_it_and_keeps_its_text() {
    let site = Site::new().await;
    fleet(&site).await;
    let author = Person::of(&site, Role::Author).await;
    let bad =
        format!("{WRITTEN}&abort=5+errors&waves=1%2C+10%25&zone=Mars&label=%3Cscript%3Ealert(1)");
    let (page, _) = author.looks(&site, &format!("/campaigns/preview?{bad}")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    for there in [
        "<a href=\"#abort\">Abort above errors</a>",
        "name=\"abort\" value=\"5 errors\"",
        "<a href=\"#waves\">",
        "the last wave must be all",
        "<a href=\"#zone\">",
        "<a href=\"#label\">",
        "aria-invalid=\"true\"",
    ] {
        assert!(page.text.contains(there), "{there}: {}", main_of(&page.text));
    }
    let refused = author.form(&site, "/campaigns", &format!("{bad}&then=start")).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let list = site.page(&author.cookie, "/campaigns", "en").await;
    assert!(list.text.contains("class=\"empty\""), "nothing was kept");
}

#[tokio::test]
async fn what_needs_a_second_person_waits_for_one() {
    let site = Site::new().await;
    fleet(&site).await;
    let author = Person::of(&site, Role::Author).await;
    let dangerous = WRITTEN.replace("disruptive", "dangerous");
    let (preview, _) = author.looks(&site, &format!("/campaigns/preview?{dangerous}")).await;
    assert!(preview.text.contains("Keep and ask for approval"), "{}", main_of(&preview.text));
    assert!(!preview.text.contains("value=\"start\""), "it cannot be started at once");
    let made = author.form(&site, "/campaigns", &format!("{dangerous}&then=start")).await;
    let path = made.header("location").to_owned();
    let (page, _) = author.looks(&site, &path).await;
    assert!(page.text.contains("awaits approval"), "{}", main_of(&page.text));
    assert!(!page.text.contains(">Start…<") && !page.text.contains(">Approve…<"));
    let (queue, queue_ru) = author.looks(&site, "/approvals").await;
    assert!(queue.text.contains("it allows dangerous remediations"), "{}", main_of(&queue.text));
    assert!(queue.text.contains("You cannot approve here"));
    insta::assert_snapshot!("approvals_ru", hidden(&main_of(&queue_ru.text)));
    // A session that was made from a token approves nothing, whatever its role.
    let admin = Person::of(&site, Role::Admin).await;
    let refused = admin.form(&site, &format!("{path}/approve"), "reason=fine&digest=x").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let start = author.form(&site, &format!("{path}/start"), "reason=go&hosts=8").await;
    assert_eq!(start.status, StatusCode::CONFLICT, "{}", main_of(&start.text));
    assert!(start.text.contains("a second person must approve it"), "{}", main_of(&start.text));
}

#[tokio::test]
async fn a_change_is_kept_where_nobody_else_changed_it_meanwhile() {
    let site = Site::new().await;
    fleet(&site).await;
    let author = Person::of(&site, Role::Author).await;
    let made = author.form(&site, "/campaigns", &format!("{WRITTEN}&then=draft")).await;
    let path = made.header("location").to_owned();
    let id = path.rsplit('/').next().expect("an id").to_owned();
    let (form, _) = author.looks(&site, &format!("{path}/edit")).await;
    assert!(form.text.contains("value=\"Interrupted dpkg\""));
    let change = format!("{WRITTEN}&at_once=7&edit={id}&revision=1");
    let (preview, _) = author.looks(&site, &format!("/campaigns/preview?{change}")).await;
    assert!(preview.text.contains("Keep the change"), "{}", main_of(&preview.text));
    let change = format!("{WRITTEN}&at_once=7&revision=1&then=draft");
    let kept = author.form(&site, &format!("{path}/edit"), &change).await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER, "{}", main_of(&kept.text));
    let (page, _) = author.looks(&site, &path).await;
    assert!(page.text.contains("7 hosts at once"), "{}", main_of(&page.text));
    let late = author.form(&site, &format!("{path}/edit"), &change).await;
    assert_eq!(late.status, StatusCode::CONFLICT, "{}", main_of(&late.text));
}

#[tokio::test]
async fn freezes_and_the_halt_have_their_pages() {
    let site = Site::new().await;
    let author = Person::of(&site, Role::Author).await;
    author.looks(&site, "/freezes").await;
    let bad =
        author.form(&site, "/freezes", "name=n&reason=r&when=once&from=soon&until=later").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.text.contains("value=\"soon\"") && bad.text.contains("role=\"alert\""));
    let fields = "name=Year+end&reason=audit&when=yearly&from=12-20&until=01-06&zone=Europe%2FBerlin&labels=site%3Dnorth";
    let made = author.form(&site, "/freezes", fields).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", main_of(&made.text));
    let (page, _) = author.looks(&site, "/freezes").await;
    assert!(
        page.text.contains("every year 12-20 – 01-06 (Europe/Berlin)"),
        "{}",
        main_of(&page.text)
    );
    let (_, rest) = page.text.split_once("action=\"/freezes/0").expect("a button");
    let id = rest.split('/').next().expect("an id");
    let gone = author.form(&site, &format!("/freezes/0{id}/end"), "").await;
    assert_eq!(gone.status, StatusCode::SEE_OTHER);

    let (page, _) = author.looks(&site, "/halt").await;
    assert!(page.text.contains("The fleet works") && page.text.contains("Nothing runs."));
    let viewer = Person::of(&site, Role::Viewer).await;
    let closed = viewer.looks(&site, "/halt").await.0;
    assert!(!closed.text.contains("action=\"/halt\""));
    let halted = author.form(&site, "/halt", "reason=smoke").await;
    assert_eq!(halted.status, StatusCode::SEE_OTHER, "{}", main_of(&halted.text));
    let (page, _) = author.looks(&site, "/halt").await;
    assert!(page.text.contains("smoke") && page.text.contains("action=\"/halt/lift\""));
    let lifted = author.form(&site, "/halt/lift", "").await;
    assert_eq!(lifted.status, StatusCode::SEE_OTHER, "{}", main_of(&lifted.text));
}

/// What a page shows to people: no tags, no code, no scripts; what is named as English besides.
fn shown(page: &str) -> String {
    let mut text = page.to_owned();
    for element in ["code", "pre", "script", "style", "option", "textarea"] {
        let (from, to) = (format!("<{element}"), format!("</{element}>"));
        while let Some(at) = text.find(&from) {
            let end = text[at..].find(&to).map_or(text.len(), |end| at + end + to.len());
            text.replace_range(at..end, " ");
        }
    }
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some((before, tag)) = rest.split_once('<') {
        shown.push_str(before);
        shown.push('|');
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    shown + rest
}

/// Three English words in a row and more.
fn english(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    for piece in shown(page).split('|') {
        let mut row: Vec<&str> = Vec::new();
        for word in piece.split_whitespace().chain(["."]) {
            let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
            let is_english = bare.len() > 1 && bare.chars().all(|c| c.is_ascii_alphabetic());
            if is_english {
                row.push(word);
                continue;
            }
            if row.len() > 2 {
                found.push(row.join(" "));
            }
            row.clear();
        }
    }
    found
}

/// Whoever approves.
const ANNA: Who<'static> = Who { actor: "user anna", person: "user anna" };

struct Fleet {
    site: Site,
    token: String,
    cookie: String,
}

impl Fleet {
    async fn new() -> Self {
        let site = Site::new().await;
        for n in 11..=20 {
            let host = site.host(n, &format!("web-{n}"), false, false).await;
            site.failure(host, n, "dpkg was interrupted").await;
        }
        let token = site.token(Role::Author).await;
        let cookie = site.log_in(&token).await;
        Self { site, token, cookie }
    }

    /// A campaign on some hosts, approved.
    async fn made(&self, hosts: &[u128], fields: serde_json::Value) -> Campaign {
        let hosts: Vec<HostId> = hosts.iter().map(|n| id(*n)).collect();
        let mut written = json!({
            "name": "Прерванный dpkg", "reason": "обновления стоят", "max_risk": "disruptive",
            "selector": { "cause": "dpkg_interrupted", "hosts": hosts }, "gate": { "soak": "0s" },
            "remedy": { "remediation": { "id": "apt.configure_pending" } },
            "waves": [{ "share": "1" }, { "share": "all" }],
        });
        for (name, value) in fields.as_object().expect("fields") {
            written[name] = value.clone();
        }
        let made = self.site.post(&self.token, "/api/v1/campaigns", &written).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let campaign: CampaignId = made.json()["id"].as_str().expect("an id").parse().expect("id");
        self.now(campaign).await
    }

    async fn now(&self, id: CampaignId) -> Campaign {
        self.site.shared.db.campaign(id).await.expect("reads").expect("there")
    }

    async fn started(&self, hosts: &[u128], fields: serde_json::Value) -> CampaignId {
        let made = self.made(hosts, fields).await;
        let (db, now) = (&self.site.shared.db, self.site.clock.now());
        if made.lacks_approval() {
            db.approve_campaign(made.id, &made.digest, "", ANNA, now).await.expect("approved");
        }
        let path = format!("/api/v1/campaigns/{}/start", made.id);
        let done = self.site.post(&self.token, &path, &json!({})).await;
        assert_eq!(done.status, 200, "{}", done.text);
        self.look().await;
        made.id
    }

    async fn look(&self) {
        let mut task = Campaigns::new(self.site.shared.clone()).without_pause();
        while task.activate().await.outcome == Outcome::More {}
    }

    /// The job of a campaign that an agent has not begun ends so.
    async fn ends(&self, campaign: CampaignId, state: JobState) {
        let db = &self.site.shared.db;
        let queued = vec![JobState::Queued];
        let wanted = JobFilter { campaign: Some(campaign), state: queued, ..JobFilter::default() };
        let jobs = db.jobs(&wanted, &PageRequest::first(9)).await.expect("reads").items;
        let now = self.site.clock.now();
        for job in jobs {
            db.offer(job.id, now).await.expect("offers").expect("an order");
            for (sequence, state) in [(1, JobState::Running), (2, state)] {
                let update = JobUpdate {
                    job: job.id,
                    attempt: 1,
                    state,
                    detail: "the cause is not there any more: dpkg".to_owned(),
                    step: None,
                    evidence: Vec::new(),
                    proof: (state == JobState::Fixed).then_some(ProofLevel::Repeated),
                    at: now,
                };
                let item = SpoolItem::Job(Box::new(update));
                let (host, epoch) = (job.host, SpoolEpoch(id(7_000)));
                let batch = [HostItems { host, epoch, items: vec![(sequence, item.into())] }];
                db.ingest(&batch, now, &mut || [5; 10]).await.expect("ingests");
            }
        }
        self.look().await;
    }

    async fn reads(&self, id: CampaignId, state: CampaignState) {
        let campaign = self.now(id).await;
        assert_eq!(campaign.state, state, "{}", campaign.state_reason);
        let acts = ["approve", "start", "pause", "resume", "abort", "cancel", "retry", "undo"];
        let acts = acts.map(|act| format!("/campaigns/{id}/{act}"));
        let pages = ["/campaigns", "/approvals", "/jobs"].map(str::to_owned);
        let own = ["", "/preview"].map(|page| format!("/campaigns/{id}{page}"));
        for path in own.iter().chain(&acts).chain(&pages) {
            let page = self.site.page(&self.cookie, path, "ru").await;
            if page.status == StatusCode::FORBIDDEN {
                // An author approves nothing: what a refusal of a whole page says is the API's.
                continue;
            }
            let main = main_of(&page.text);
            assert_eq!(english(&main), Vec::<String>::new(), "{state} {path}: {}", shown(&main));
        }
        // The words are there, and told.
        let page = self.site.page(&self.cookie, &own[0], "ru").await.text;
        let reasons = [&campaign.state_reasons, &campaign.waiting_reasons, &campaign.needs];
        let said = reasons.iter().any(|reasons| !reasons.is_empty());
        assert!(
            said || state == CampaignState::Draft || state == CampaignState::Cancelled,
            "{page}"
        );
    }
}

#[tokio::test]
async fn no_page_of_a_campaign_is_english_to_a_russian_reader() {
    use CampaignState as S;
    assert_eq!(english("<p>весь <b>the fleet is</b> halted</p><code>a b c d</code>").len(), 1);
    let mut fleet = Fleet::new().await;
    let verifies = json!({ "remedy": "verify_only" });
    let draft = fleet.made(&[11], verifies.clone()).await;
    fleet.reads(draft.id, S::Draft).await;
    fleet
        .site
        .post(&fleet.token, &format!("/api/v1/campaigns/{}/cancel", draft.id), &json!({}))
        .await;
    fleet.reads(draft.id, S::Cancelled).await;
    let asks = json!({ "max_risk": "dangerous", "standard_change": "ночь", "max_hosts": 900 });
    let asks = fleet.made(&[11, 12], asks).await;
    assert!(asks.needs.len() > 2, "{:?}", asks.needs);
    fleet.reads(asks.id, S::AwaitingApproval).await;
    let later = json!({ "schedule": { "once": { "at": "2030-01-01T22:00" } }, "max_hosts": 2 });
    let later = fleet.started(&[11], later).await;
    fleet.reads(later, S::Scheduled).await;

    // One at work and one that waits; then the first ends with an error.
    let window = json!([{ "days": "daily", "start": "22:00", "end": "23:00" }]);
    let closed = fleet.started(&[12], json!({ "windows": window })).await;
    fleet.reads(closed, S::Running).await;
    let pauses =
        json!({ "thresholds": { "pause": "0", "abort": "50%" }, "waves": [{ "share": "all" }] });
    let pauses = fleet.started(&[13, 14, 15], pauses).await;
    fleet.reads(pauses, S::Running).await;
    let aborts = fleet.started(&[16, 17], json!({})).await;
    fleet.reads(aborts, S::Running).await;
    fleet.ends(aborts, JobState::Failed).await;
    fleet.reads(aborts, S::Aborted).await;
    let good = fleet.started(&[18], json!({})).await;
    fleet.ends(good, JobState::Fixed).await;
    fleet.reads(good, S::Completed).await;
    let stands = json!({ "thresholds": { "abort": "50%" } });
    let bad = fleet.started(&[19, 20], stands).await;
    fleet.ends(bad, JobState::NotApplicable).await;
    fleet.ends(bad, JobState::NotApplicable).await;
    fleet.reads(bad, S::Completed).await;

    // The catalogue is another, and what runs waits for a second person.
    fleet.site.restart(|shared| {
        let mut catalogue = shared.catalogue.clone();
        for remediation in catalogue.remediations.values_mut() {
            remediation.version += 1;
        }
        shared.catalogue = Box::leak(Box::new(catalogue));
    });
    fleet.look().await;
    fleet.reads(pauses, S::Paused).await;
    fleet.reads(later, S::AwaitingApproval).await;
}
