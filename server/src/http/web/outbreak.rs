//! Where and when a problem broke out: builds by the day on which it began there.

use std::collections::BTreeMap;

use fleetmend_store::Outbreak;

use super::i18n::Words;

/// Builds that the grid names; the rest share a row.
const BUILDS: usize = 8;
/// Its days.
const DAYS: i64 = 14;

/// Builds by the day on which the problem began there.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) days: Vec<String>,
    pub(super) rows: Vec<GridRow>,
    pub(super) said: String,
}

#[derive(Debug)]
pub(super) struct GridRow {
    pub(super) build: String,
    pub(super) cells: Vec<(u64, &'static str)>,
}

impl Grid {
    /// Builds by day: the last days each, all before in one column; the commonest builds each, all
    /// others in one row.
    pub(super) fn new(outbreak: Vec<Outbreak>, today: i64, t: Words) -> Self {
        let first = today - DAYS + 1;
        let width = usize::try_from(DAYS + 1).unwrap_or(1);
        let mut builds: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for cell in outbreak {
            let row = builds.entry(cell.build).or_insert_with(|| vec![0; width]);
            let column = usize::try_from(cell.day - first + 1).unwrap_or(0).min(width - 1);
            row[column] += cell.hosts;
        }
        let mut rows: Vec<(String, Vec<u64>)> = builds.into_iter().collect();
        rows.sort_by_key(|(_, cells)| std::cmp::Reverse(cells.iter().sum::<u64>()));
        if rows.len() > BUILDS {
            let mut rest = vec![0; width];
            for (_, cells) in rows.split_off(BUILDS - 1) {
                for (sum, n) in rest.iter_mut().zip(cells) {
                    *sum += n;
                }
            }
            rows.push((t.s("problem.other_builds").to_owned(), rest));
        }
        let most = rows.iter().flat_map(|(_, cells)| cells).copied().max().unwrap_or(0).max(1);
        let total: u64 = rows.iter().flat_map(|(_, cells)| cells).sum();
        let heat = |n: u64| match n * 4 {
            0 => "h0",
            part if part <= most => "h1",
            part if part <= 2 * most => "h2",
            part if part <= 3 * most => "h3",
            _ => "h4",
        };
        let mut days = vec![t.s("problem.earlier").to_owned()];
        // The month is told once, and where a new one begins: fifteen columns stand side by side.
        days.extend((first..=today).map(|day| {
            let label = t.day(day);
            match label.split_once('\u{a0}') {
                Some((number, _)) if day != first && number != "1" => number.to_owned(),
                _ => label,
            }
        }));
        Self {
            days,
            said: t.f2("problem.grid_said", t.n("count.hosts", total), t.num(rows.len())),
            rows: rows
                .into_iter()
                .map(|(build, cells)| GridRow {
                    build,
                    cells: cells.into_iter().map(|n| (n, heat(n))).collect(),
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fleetmend_core::knowledge::Lang;

    #[test]
    fn the_grid_keeps_every_host_whatever_its_day_and_build() {
        let cell = |build: &str, day| Outbreak { build: build.to_owned(), day, hosts: 2 };
        let mut cells: Vec<Outbreak> = (0..20).map(|n| cell(&format!("b{n}"), 100)).collect();
        cells.push(cell("b0", 3));
        cells.push(cell("b0", 101));
        let grid = Grid::new(cells, 100, Words(Lang::En));
        assert_eq!(grid.rows.len(), BUILDS);
        let all: u64 = grid.rows.iter().flat_map(|r| &r.cells).map(|(n, _)| n).sum();
        assert_eq!(all, 44);
        assert_eq!(grid.rows[0].cells[0], (2, "h1"), "what began earlier");
        assert_eq!(grid.days.len(), 15);
    }
}
