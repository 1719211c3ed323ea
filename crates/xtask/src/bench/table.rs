//! Medians of rounds, and the Markdown tables made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::load::Sample;

/// The rounds of every cell. Rows are (workload, clients), columns are the sides.
#[derive(Debug, Default)]
pub(super) struct Table {
    cells: BTreeMap<(&'static str, usize), BTreeMap<&'static str, Vec<Sample>>>,
}

impl Table {
    /// Adds one round.
    pub(super) fn add(
        &mut self,
        workload: &'static str,
        clients: usize,
        side: &'static str,
        sample: Sample,
    ) {
        let row = self.cells.entry((workload, clients)).or_default();
        row.entry(side).or_default().push(sample);
    }

    /// The table with `sides` as columns; each cell but the baseline's begins with its ratio to the baseline.
    pub(super) fn markdown(&self, baseline: &str, sides: &[&'static str]) -> String {
        let head = [
            format!("| writes | clients | {} |", sides.join(" | ")),
            format!("|---|---|{}", "---|".repeat(sides.len())),
        ];
        let rows = self.cells.iter().map(|((workload, clients), row)| {
            let base = row.get(baseline).map(|rounds| median(rounds).per_second);
            let cells = sides.iter().map(|side| match row.get(side) {
                Some(rounds) => cell(median(rounds), base.filter(|_| *side != baseline)),
                None => "-".to_owned(),
            });
            format!(
                "| {workload} | {clients} | {} |",
                cells.collect::<Vec<_>>().join(" | ")
            )
        });
        head.into_iter().chain(rows).collect::<Vec<_>>().join("\n")
    }
}

fn cell(sample: Sample, baseline: Option<f64>) -> String {
    let ratio = baseline.map(|base| format!("**{:.2}x** ", sample.per_second / base));
    format!(
        "{}{:.0}/s, p50 {} p99 {}",
        ratio.unwrap_or_default(),
        sample.per_second,
        milliseconds(sample.p50),
        milliseconds(sample.p99)
    )
}

/// Each figure's own median: the rounds of one cell differ by noise only.
fn median(rounds: &[Sample]) -> Sample {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
    rates.sort_by(f64::total_cmp);
    Sample {
        per_second: rates.get(rates.len() / 2).copied().unwrap_or_default(),
        p50: middle(rounds.iter().map(|round| round.p50)),
        p99: middle(rounds.iter().map(|round| round.p99)),
    }
}

/// The middle one of some durations, the upper one of an even number; zero of none.
pub(super) fn middle(durations: impl Iterator<Item = Duration>) -> Duration {
    let mut sorted: Vec<Duration> = durations.collect();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// `1.23 ms`
pub(super) fn milliseconds(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(per_second: f64, p50: u64) -> Sample {
        Sample {
            per_second,
            p50: Duration::from_millis(p50),
            p99: Duration::from_millis(2 * p50),
        }
    }

    #[test]
    fn cells_are_medians_with_ratios_to_the_baseline() {
        let mut table = Table::default();
        for rate in [900.0, 1000.0, 5000.0] {
            table.add("update", 16, "etcd", sample(rate, 3));
        }
        table.add("update", 16, "ours", sample(2500.0, 1));
        let text = table.markdown("etcd", &["etcd", "ours", "other"]);
        assert!(text.contains(
            "| update | 16 | 1000/s, p50 3.00 ms p99 6.00 ms | **2.50x** 2500/s, p50 1.00 ms p99 2.00 ms | - |"
        ));
    }
}
