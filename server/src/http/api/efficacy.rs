//! `/api/v1/efficacy`: how often remediations helped, counted over the fleet.

use fleetmend_core::efficacy::{Against, Count, WEAK_BELOW, WEAK_FROM};
use fleetmend_core::knowledge::{Catalogue, Lang};
use serde::Serialize;

use super::model::{cause_name, round};
use crate::http::call::Call;
use crate::http::csv::Column;
use crate::http::paging;
use crate::http::problem::Problem;
use crate::http::route::Answer;

const COLUMNS: &[Column] = &[
    ("cause", "/cause"),
    ("remediation", "/remediation"),
    ("version", "/version"),
    ("tries", "/tries"),
    ("told", "/told"),
    ("cured", "/cured"),
    ("share", "/share"),
    ("low", "/low"),
    ("high", "/high"),
    ("cleared", "/cleared"),
    ("not_cleared", "/not_cleared"),
    ("came_back", "/came_back"),
    ("weak", "/weak"),
    ("proposal", "/proposal"),
];

/// How often a remediation helped against a cause.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub(crate) struct EfficacyView {
    /// The cause.
    pub(crate) cause: String,
    /// Its name for people.
    pub(crate) cause_name: String,
    /// The remediation.
    pub(crate) remediation: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: u32,
    /// Tries that began and ended.
    pub(crate) tries: u64,
    /// Those that told whether the operation works: n.
    pub(crate) told: u64,
    /// Those after which it was repeated, or seen, and worked.
    pub(crate) cured: u64,
    /// cured of told; null where nothing was told.
    pub(crate) share: Option<f64>,
    /// The lower bound of that share, of an interval of 90 %.
    pub(crate) low: f64,
    /// Its upper bound.
    pub(crate) high: f64,
    /// Tries after which the cause's own probe said that the cause was gone.
    pub(crate) cleared: u64,
    /// Tries after which it said that it was not.
    pub(crate) not_cleared: u64,
    /// Cures after which the failure came back.
    pub(crate) came_back: u64,
    /// Whether it should be retired.
    pub(crate) weak: bool,
    /// What is proposed, in words.
    pub(crate) proposal: Option<String>,
}

impl EfficacyView {
    /// From a count, in a language.
    pub(crate) fn new(against: &Against, count: Count, cat: &Catalogue, lang: Lang) -> Self {
        let (low, high) = count.interval();
        let entry = cat.remediations.get(&against.remediation);
        let told = count.told();
        let (cured, percent) = (count.cured, (WEAK_BELOW * 100.0).round());
        let proposal = count.is_weak().then(|| match lang {
            Lang::En => format!(
                "retire version {}: it cured {cured} of {told}, and its lower bound lies below {percent} %",
                against.version
            ),
            Lang::Ru => format!(
                "вывести версию {} из каталога: помогла {cured} раз из {told}, нижняя граница ниже {percent} %",
                against.version
            ),
        });
        Self {
            cause: against.cause.to_string(),
            cause_name: cause_name(cat, against.cause.as_str(), lang),
            remediation: against.remediation.to_string(),
            name: entry
                .map_or_else(|| against.remediation.to_string(), |r| r.name.get(lang).to_owned()),
            version: against.version,
            tries: count.tries,
            told,
            cured,
            share: (told > 0).then(|| round(float(cured) / float(told))),
            low: round(low),
            high: round(high),
            cleared: count.cleared,
            not_cleared: count.not_cleared,
            came_back: count.relapsed,
            weak: count.is_weak(),
            proposal,
        }
    }
}

/// Lists what was counted.
pub(crate) async fn list(call: Call) -> Answer {
    let wanted = (
        call.query.parse::<bool>("simulated")?.unwrap_or(false),
        call.query.parse::<bool>("weak")?.unwrap_or(false),
    );
    paging::list(call, COLUMNS, wanted, |call, wanted, page| async move {
        let (simulated, weak) = *wanted;
        let mut items = all(&call, simulated, Lang::En).await?;
        items.retain(|item| item.weak || !weak);
        Ok(paging::whole(items, &page))
    })
    .await
}

/// Everything that was counted over simulated hosts or over the others, most tries first. Also used
/// by pages.
pub(crate) async fn all(
    call: &Call,
    simulated: bool,
    lang: Lang,
) -> Result<Vec<EfficacyView>, Problem> {
    let counted = call.db().efficacy(simulated).await?;
    let catalogue = call.shared().catalogue;
    let view = |(against, count)| EfficacyView::new(against, count, catalogue, lang);
    let mut items: Vec<EfficacyView> = counted.totals().map(view).collect();
    items.sort_by(|a, b| b.tries.cmp(&a.tries).then_with(|| a.remediation.cmp(&b.remediation)));
    Ok(items)
}

/// So many tries are needed before anything is called weak.
pub(crate) const ENOUGH: u64 = WEAK_FROM;

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn float(n: u64) -> f64 {
    n as f64
}
