//! `fleetmend campaigns watch`: a bar for each wave on a terminal, a line for each change elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;

use super::show;
use crate::args::Output;
use crate::client::encode;
use crate::commands::Context;
use crate::output;

/// How often the campaign is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Characters of a bar.
const WIDTH: u64 = 40;
/// The most columns of a line: what is longer would break the picture.
const COLUMNS: usize = 100;
/// Up so many lines, and all below cleared.
const UP: &str = "\u{1b}[{n}A\u{1b}[J";

/// Watches until the campaign is over; false unless it completed without errors.
pub(super) fn run(ctx: &Context, id: &str) -> Result<bool> {
    let path = format!("/campaigns/{}", encode(id));
    let live = ctx.output == Output::Table && std::io::stdout().is_terminal();
    let (mut drawn, mut last) = (0_usize, String::new());
    loop {
        let item = ctx.client.get(&path)?;
        let over = item["final"].as_bool() == Some(true);
        if ctx.output == Output::Json {
            // One look a line, where it tells anything new.
            let text = item.to_string();
            if text != last {
                output::line(&text)?;
                last = text;
            }
        } else if live {
            let lines = picture(&item);
            let up = if drawn > 0 { UP.replace("{n}", &drawn.to_string()) } else { String::new() };
            drawn = lines.len();
            output::say(&format!("{up}{}\n", lines.join("\n")))?;
        } else {
            let text = plain(&item);
            if text != last {
                output::line(&text)?;
                last = text;
            }
        }
        if over {
            return Ok(item["state"].as_str() == Some("completed"));
        }
        std::thread::sleep(LOOK);
    }
}

/// One look as a line.
fn plain(item: &Value) -> String {
    let opened = show::list(item, "waves").iter().filter(|w| !w["opened_at"].is_null()).count();
    let mut text = format!("{}  wave {opened}", output::cell(item, "/state"));
    let counts = show::words(&item["counts"]);
    if !counts.is_empty() {
        text = format!("{text}  {counts}");
    }
    if let Some(why) = item["waiting_for"].as_str() {
        text = format!("{text}  ({})", output::clean(why));
    }
    text
}

/// One look as lines of a terminal.
fn picture(item: &Value) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {} since {}",
        output::cell(item, "/name"),
        output::cell(item, "/state"),
        output::cell(item, "/state_since")
    )];
    for wave in show::list(item, "waves") {
        let hosts = wave["hosts"].as_u64().unwrap_or(0);
        let count = |name: &str| wave["counts"][name].as_u64().unwrap_or(0);
        let fixed = count("fixed");
        let bad = ["failed", "rolled_back", "timed_out", "unknown", "silent"];
        let errors: u64 = bad.iter().map(|name| count(name)).sum();
        let open = ["waiting", "queued", "running", "verifying"];
        let unended: u64 = open.iter().map(|name| count(name)).sum();
        let busy = unended - count("waiting").min(unended);
        let other = hosts.saturating_sub(fixed + errors + unended);
        let parts = [(fixed, '#'), (other, '-'), (errors, 'x'), (busy, '>')];
        let number = wave["wave"].as_u64().unwrap_or(0) + 1;
        lines.push(format!(
            "wave {number:>2} {:>4} [{}] {}",
            output::cell(&wave, "/share"),
            bar(&parts, hosts),
            show::words(&wave["counts"])
        ));
    }
    lines.push("# fixed  - other ends  x errors  > under way".to_owned());
    if let Some(why) = item["waiting_for"].as_str() {
        lines.push(output::clean(why));
    }
    lines.into_iter().map(|line| line.chars().take(COLUMNS).collect()).collect()
}

/// Parts of a whole as characters; what is there at all is seen.
fn bar(parts: &[(u64, char)], whole: u64) -> String {
    let mut text = String::new();
    for (n, c) in parts {
        let wide = if *n == 0 { 0 } else { (n * WIDTH / whole.max(1)).max(1) };
        text.extend((0..wide).map(|_| *c));
    }
    let width = usize::try_from(WIDTH).unwrap_or(usize::MAX);
    format!("{:<width$}", text.chars().take(width).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item() -> Value {
        json!({
            "name": "interrupted dpkg", "state": "running", "state_since": "2026-11-22T12:00:00.000Z",
            "waiting_for": "wave 2: 3 of 10 hosts have not come to an end\u{1b}[31m",
            "counts": { "fixed": 8, "failed": 1, "running": 2, "waiting": 89 },
            "waves": [
                { "wave": 0, "share": "1", "hosts": 1, "opened_at": "x", "counts": { "fixed": 1 } },
                { "wave": 1, "share": "10%", "hosts": 10, "opened_at": "x",
                  "counts": { "fixed": 7, "failed": 1, "running": 2 } },
                { "wave": 2, "share": "all", "hosts": 89, "opened_at": null,
                  "counts": { "waiting": 89 } },
            ],
        })
    }

    #[test]
    fn a_look_is_a_picture_on_a_terminal_and_a_line_elsewhere() {
        let text = picture(&item()).join("\n");
        assert!(!text.contains('\u{1b}'), "what the server says moves no cursor");
        assert_eq!(
            text,
            "interrupted dpkg: running since 2026-11-22T12:00:00.000Z\n\
             wave  1    1 [########################################] 1 fixed\n\
             wave  2  10% [############################xxxx>>>>>>>>] 1 failed, 7 fixed, 2 running\n\
             wave  3  all [                                        ] 89 waiting\n\
             # fixed  - other ends  x errors  > under way\n\
             wave 2: 3 of 10 hosts have not come to an end\u{fffd}[31m"
        );
        assert!(
            plain(&item()).starts_with("running  wave 2  1 failed, 8 fixed, 2 running, 89 waiting")
        );
    }

    #[test]
    fn one_error_of_many_is_seen() {
        assert!(bar(&[(4_999, '#'), (1, 'x')], 5_000).contains('x'));
        assert_eq!(bar(&[(0, '#')], 0).trim(), "");
    }
}
