//! What the waves of a campaign would take, of hosts that are all there.

use super::definition::{Definition, Wave};
use crate::host::Labels;

/// What one wave would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedWave {
    /// Hosts that it adds.
    pub hosts: usize,
    /// Where it is for a label: hosts of the campaign with that label, in whatever wave.
    pub with_label: Option<usize>,
}

impl Wave {
    /// The label of its hosts, `ring=canary`; empty where it is for all.
    pub fn label_text(&self) -> String {
        self.label.as_ref().map(|(key, value)| format!("{key}={value}")).unwrap_or_default()
    }
}

impl Definition {
    /// What each wave would take of hosts with these labels, were all of them there and none left out
    /// later. A wave for a label takes hosts with that label alone; the others take those first that
    /// have the label of some wave, as a run takes its hosts in.
    pub fn planned_waves<'l>(
        &self,
        hosts: impl IntoIterator<Item = &'l Labels>,
    ) -> Vec<PlannedWave> {
        let most = self.max_hosts.map_or(usize::MAX, |most| most as usize);
        let (mut canaries, mut others): (Vec<_>, Vec<_>) =
            hosts.into_iter().partition(|labels| self.waves.iter().any(|wave| wave.is_for(labels)));
        let total = (canaries.len() + others.len()).min(most);
        let known: Vec<usize> = self
            .waves
            .iter()
            .map(|wave| canaries.iter().filter(|labels| wave.is_for(labels)).count())
            .collect();
        canaries.append(&mut others);
        let mut waiting = canaries;
        waiting.truncate(total);
        let mut placed = 0;
        let plan = |(wave, known): (&Wave, usize)| {
            // A canary is never lost by rounding.
            let least = if wave.label.is_some() { placed + 1 } else { 0 };
            let mut places = wave.share.of(total).max(least).saturating_sub(placed);
            let before = waiting.len();
            waiting.retain(|labels| {
                let taken = places > 0 && (wave.label.is_none() || wave.is_for(labels));
                places -= usize::from(taken);
                !taken
            });
            let hosts = before - waiting.len();
            placed += hosts;
            PlannedWave { hosts, with_label: wave.label.is_some().then_some(known) }
        };
        self.waves.iter().zip(known).map(plan).collect()
    }

    /// The waves for a label that no host has: at the first of them a run would stand still. Each by its
    /// number from 1, with the label.
    pub fn waves_for_nobody<'l>(
        &self,
        hosts: impl IntoIterator<Item = &'l Labels>,
    ) -> Vec<(usize, String)> {
        let planned = self.planned_waves(hosts);
        let waves = self.waves.iter().zip(planned).enumerate();
        waves
            .filter(|(_, (_, planned))| planned.with_label == Some(0))
            .map(|(at, (wave, _))| (at + 1, wave.label_text()))
            .collect()
    }
}

impl Wave {
    fn is_for(&self, labels: &Labels) -> bool {
        self.label.as_ref().is_some_and(|(key, value)| labels.get(key) == Some(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn waves(waves: serde_json::Value) -> Definition {
        serde_json::from_value(json!({
            "name": "x", "reason": "y", "selector": {"product": "apt"}, "max_hosts": 50,
            "waves": waves,
        }))
        .expect("a definition")
    }

    fn hosts(canaries: usize, others: usize) -> Vec<Labels> {
        let canary = Labels::from([("ring".to_owned(), "canary".to_owned())]);
        let all = std::iter::repeat_n(canary, canaries);
        all.chain(std::iter::repeat_n(Labels::default(), others)).collect()
    }

    fn taken(definition: &Definition, hosts: &[Labels]) -> Vec<(usize, Option<usize>)> {
        definition.planned_waves(hosts).iter().map(|w| (w.hosts, w.with_label)).collect()
    }

    #[test]
    fn a_wave_for_a_label_takes_hosts_with_it_alone() {
        let d = waves(json!([
            {"share": "5", "label": ["ring", "canary"]}, {"share": "50%"}, {"share": "all"},
        ]));
        assert_eq!(taken(&d, &hosts(3, 17)), [(3, Some(3)), (7, None), (10, None)]);
        assert_eq!(taken(&d, &hosts(8, 12)), [(5, Some(8)), (5, None), (10, None)]);
        assert_eq!(taken(&d, &hosts(0, 20)), [(0, Some(0)), (10, None), (10, None)]);
        assert_eq!(
            taken(&d, &hosts(60, 40)),
            [(5, Some(60)), (20, None), (25, None)],
            "at most 50"
        );
        assert_eq!(taken(&d, &[]), [(0, Some(0)), (0, None), (0, None)]);
    }

    #[test]
    fn a_canary_is_not_lost_by_rounding_and_is_named_where_nobody_has_its_label() {
        let d = waves(json!([
            {"share": "1"}, {"share": "1%", "label": ["ring", "canary"]}, {"share": "all"},
        ]));
        assert_eq!(taken(&d, &hosts(2, 8)), [(1, None), (1, Some(2)), (8, None)]);
        assert_eq!(d.waves_for_nobody(&hosts(2, 8)), []);
        assert_eq!(d.waves_for_nobody(&hosts(0, 8)), [(2, "ring=canary".to_owned())]);
    }
}
