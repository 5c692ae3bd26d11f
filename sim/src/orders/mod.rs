//! An experiment: in which order are remediations tried, and what does it cost until a host is fixed?
//! The same simulated hosts, with the same hidden truth, are treated by the order that evidence gives
//! (the product's own triage and plan), by the order of published articles, by chance, and by
//! somebody who knows the truth.

mod articles;
mod course;
mod table;

use std::path::Path;

use anyhow::Context as _;
use clap::Args;
use fleetmend_core::knowledge::Strength;
use fleetmend_core::words;
use futures_util::{StreamExt as _, stream};

pub use self::articles::{Article, articles};
pub use self::course::{Case, Course};
pub use self::table::{Group, Row, Table};

words! {
    /// What decides which remediation comes next.
    pub enum Order ("order") {
        /// Triage and plan of the product, asked again after each try.
        Evidence = "evidence",
        /// A published article, from its first step to its last.
        Article = "article",
        /// Chance, among what the catalogue knows against the causes of the failure.
        Random = "random",
        /// The hidden truth: the cheapest remediation that works.
        Oracle = "oracle",
    }
}

/// What the experiment is made of.
#[derive(Debug, Clone, Args)]
pub struct Experiment {
    /// Simulated hosts, each with a failure.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub hosts: u32,
    /// What all chance comes from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Halve every likelihood ratio of the catalogue (50, 10, 3 become 25, 5, 1.5, and their inverses).
    #[arg(long)]
    pub halved: bool,
    /// So many of a hundred answers of probes are made *unknown*.
    #[arg(long, default_value_t = 0, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    pub unknown: u8,
    /// Print what became of each host, a line for each order, before the table.
    #[arg(long)]
    pub each: bool,
}

impl Experiment {
    /// Runs it and prints its table.
    pub async fn run(self) -> anyhow::Result<()> {
        // Many small files, read again and again: memory, where the system has it as a folder.
        let memory = Path::new("/dev/shm");
        let temp = if memory.is_dir() {
            Scratch::in_folder(memory)?
        } else {
            Scratch::in_folder(&std::env::temp_dir())?
        };
        let courses = self.courses(temp.path()).await?;
        let mut text = String::new();
        for (case, courses) in courses.iter().filter(|_| self.each) {
            for c in courses {
                use std::fmt::Write as _;
                let (fixed, harmed) = (c.fixed, c.harmed);
                writeln!(
                    text,
                    "{} {} {} fixed={fixed} harmed={harmed} {:.0} min, {} restarts: {}",
                    case.host,
                    case.model,
                    c.order,
                    c.minutes,
                    c.reboots,
                    c.done.join(", ")
                )?;
            }
        }
        text += &Table::of(&self, &courses).to_string();
        std::io::Write::write_all(&mut std::io::stdout().lock(), text.as_bytes())?;
        Ok(())
    }

    /// What became of every host in every order: by host, then in the order of [`Order::ALL`].
    pub async fn courses(&self, folder: &Path) -> anyhow::Result<Vec<(Case, Vec<Course>)>> {
        let at_once = std::thread::available_parallelism().map_or(2, usize::from) * 2;
        let each = (1..=self.hosts).map(|number| {
            let (experiment, folder) = (self.clone(), folder.join(number.to_string()));
            tokio::spawn(async move {
                let done = course::all(&experiment, number, &folder).await;
                // Thousands of hosts do not lie there at once.
                let _ = std::fs::remove_dir_all(&folder);
                done.with_context(|| format!("host {number}"))
            })
        });
        let done: Vec<_> = stream::iter(each).buffered(at_once).collect().await;
        done.into_iter().map(|joined| joined?).collect()
    }

    /// The weight of a piece of evidence in this experiment.
    pub fn ratio(&self, strength: Strength) -> f64 {
        let ratio = strength.ratio();
        match (self.halved, ratio > 1.0, ratio < 1.0) {
            (true, true, _) => ratio / 2.0,
            (true, _, true) => ratio * 2.0,
            _ => ratio,
        }
    }
}

/// A folder that goes when it is done with.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn in_folder(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join(format!("fleetmend-orders-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
