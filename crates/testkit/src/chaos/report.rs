//! What a run says: its plan before it begins, each fault as it ends, and a table in the end.

use std::io::Write as _;
use std::time::Duration;

use super::client::Window;
use super::fault::Fault;
use super::plan::Step;

/// Below this a run was not busy enough to have tested anything.
pub const OPERATIONS_PER_SECOND_MIN: u64 = 500;

/// What was seen of one fault.
#[derive(Debug, Clone)]
pub struct Row {
    /// What happened.
    pub step: Step,
    /// To which node.
    pub node: u32,
    /// The stretch without faults before it.
    pub calm: Window,
    /// While it lasted.
    pub during: Window,
    /// From the end of the fault until all nodes followed again.
    pub recovered_after: Duration,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub struct Report {
    /// One row for each step, in order.
    pub rows: Vec<Row>,
}

impl Report {
    /// Operations per second in all stretches without faults together.
    pub fn calm_rate(&self) -> u64 {
        rate(self.rows.iter().map(|row| row.calm))
    }

    /// Why the run tested too little to count, if it did.
    pub fn invalid(&self) -> Option<String> {
        let rate = self.calm_rate();
        (rate < OPERATIONS_PER_SECOND_MIN).then(|| {
            format!(
                "{rate} operations per second without faults; {OPERATIONS_PER_SECOND_MIN} are needed"
            )
        })
    }

    /// The table: one line for each fault.
    pub fn table(&self) -> String {
        let head = "| fault | times | ops/s before | ops/s during | longest gap of writes, s | unknown | all follow again after, s |\n\
                    |---|---:|---:|---:|---:|---:|---:|\n";
        let lines = Fault::ALL.into_iter().filter_map(|fault| self.line(fault));
        head.to_owned() + &lines.collect::<String>()
    }

    fn line(&self, fault: Fault) -> Option<String> {
        let rows: Vec<&Row> = self
            .rows
            .iter()
            .filter(|row| row.step.fault == fault)
            .collect();
        let gap = rows.iter().map(|row| row.during.longest_gap).max()?;
        let recovered = rows.iter().map(|row| row.recovered_after).max()?;
        let unknown: usize = rows.iter().map(|row| row.during.unknown).sum();
        Some(format!(
            "| {fault} | {} | {} | {} | {:.1} | {unknown} | {:.1} |\n",
            rows.len(),
            rate(rows.iter().map(|row| row.calm)),
            rate(rows.iter().map(|row| row.during)),
            gap.as_secs_f64(),
            recovered.as_secs_f64(),
        ))
    }
}

fn rate(windows: impl Iterator<Item = Window>) -> u64 {
    let mut all = Window::default();
    for window in windows {
        all.length += window.length;
        all.reads += window.reads;
        all.writes += window.writes;
    }
    all.operations_per_second()
}

/// Prints a line at once: somebody may be watching.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
