//! The figures of an experiment.

use std::fmt;

use fleetmend_core::host::OsFamily;
use fleetmend_core::report::Product;

use super::{Case, Course, Experiment, Order};

/// The table: groups of hosts, and a row for each order in each.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    title: String,
    /// The groups.
    pub groups: Vec<Group>,
}

/// Hosts that are looked at together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Which, in words.
    pub name: String,
    /// How many.
    pub hosts: usize,
    /// By order.
    pub rows: Vec<Row>,
}

/// One order in one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Which order.
    pub order: Order,
    /// Hosts fixed.
    pub fixed: usize,
    /// Of them by the first remediation.
    pub at_once: usize,
    /// Hosts on which something fails that a remediation brought.
    pub harmed: usize,
    /// Remediations on a fixed host: mean and p95.
    pub tries: (f64, f64),
    /// Minutes on a fixed host.
    pub minutes: (f64, f64),
    /// Restarts on a fixed host.
    pub reboots: (f64, f64),
    /// Remediations of all hosts, those that stay broken too, for each one fixed.
    pub tries_of_all: f64,
    /// Minutes of all hosts for each one fixed.
    pub minutes_of_all: f64,
    /// Restarts of all hosts for each one fixed.
    pub reboots_of_all: f64,
}

impl Table {
    /// Sums up what became of all hosts.
    pub fn of(experiment: &Experiment, all: &[(Case, Vec<Course>)]) -> Self {
        let oracle =
            |courses: &[Course]| courses.iter().any(|c| c.order == Order::Oracle && c.fixed);
        let updates =
            |case: &Case| matches!(case.product, Product::WindowsUpdate | Product::Servicing);
        let pick = |name: &str, orders: &[Order], fits: &dyn Fn(&Case, &[Course]) -> bool| {
            let chosen: Vec<&[Course]> =
                all.iter().filter(|(case, c)| fits(case, c)).map(|(_, c)| c.as_slice()).collect();
            Group {
                name: name.to_owned(),
                hosts: chosen.len(),
                rows: orders.iter().map(|order| Row::of(*order, &chosen)).collect(),
            }
        };
        let without = [Order::Evidence, Order::Random, Order::Oracle];
        let groups = vec![
            pick(
                "Windows updates and servicing, as the articles tell of: hosts that an agent can cure",
                Order::ALL,
                &|case, c| updates(case) && oracle(c),
            ),
            pick("Linux: hosts that an agent can cure", &without, &|case, c| {
                case.os == OsFamily::Linux && oracle(c)
            }),
            pick("all hosts that an agent can cure", &without, &|_, c| oracle(c)),
            pick("all hosts, those too that only a person or time cures", &without, &|_, _| true),
        ];
        let ratios = if experiment.halved { "halved" } else { "as they are" };
        let title = format!(
            "Orders of remediation on {} simulated hosts, seed {}; likelihood ratios {ratios}, {} % of the answers unknown",
            experiment.hosts, experiment.seed, experiment.unknown
        );
        Self { title, groups }
    }
}

impl Row {
    fn of(order: Order, hosts: &[&[Course]]) -> Self {
        let all: Vec<&Course> =
            hosts.iter().filter_map(|c| c.iter().find(|c| c.order == order)).collect();
        let fixed: Vec<&Course> = all.iter().copied().filter(|c| c.fixed).collect();
        let per_fixed = |sum: f64| sum / count(fixed.len().max(1));
        let spread = |value: &dyn Fn(&Course) -> f64| {
            let mut values: Vec<f64> = fixed.iter().map(|c| value(c)).collect();
            values.sort_by(f64::total_cmp);
            (per_fixed(values.iter().sum()), p95(&values))
        };
        let sum = |value: &dyn Fn(&Course) -> f64| per_fixed(all.iter().map(|c| value(c)).sum());
        Self {
            order,
            fixed: fixed.len(),
            at_once: fixed.iter().filter(|c| c.tries() <= 1).count(),
            harmed: all.iter().filter(|c| c.harmed).count(),
            tries: spread(&|c| f64::from(c.tries())),
            minutes: spread(&|c| c.minutes),
            reboots: spread(&|c| f64::from(c.reboots)),
            tries_of_all: sum(&|c| f64::from(c.tries())),
            minutes_of_all: sum(&|c| c.minutes),
            reboots_of_all: sum(&|c| f64::from(c.reboots)),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title)?;
        for group in &self.groups {
            writeln!(f, "\n{}: {}\n", group.name, group.hosts)?;
            writeln!(
                f,
                "| order | fixed | at first try | never fixed | harmed | remediations, mean (p95) | minutes, mean (p95) | restarts, mean (p95) | of all hosts, for each fixed: remediations | minutes | restarts |"
            )?;
            writeln!(f, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
            for row in &group.rows {
                row.write(f, group.hosts)?;
            }
        }
        Ok(())
    }
}

impl Row {
    fn write(&self, f: &mut fmt::Formatter<'_>, hosts: usize) -> fmt::Result {
        let share = |n: usize| 100.0 * count(n) / count(hosts.max(1));
        writeln!(
            f,
            "| {} | {} ({:.1} %) | {:.1} % | {} | {} | {:.2} ({:.0}) | {:.1} ({:.0}) | {:.2} ({:.0}) | {:.2} | {:.1} | {:.2} |",
            self.order,
            self.fixed,
            share(self.fixed),
            share(self.at_once),
            hosts - self.fixed,
            self.harmed,
            self.tries.0,
            self.tries.1,
            self.minutes.0,
            self.minutes.1,
            self.reboots.0,
            self.reboots.1,
            self.tries_of_all,
            self.minutes_of_all,
            self.reboots_of_all,
        )
    }
}

/// The value that 95 of 100 do not go over; 0 where there is none.
fn p95(sorted: &[f64]) -> f64 {
    let at = (sorted.len() * 95).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

fn count(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
