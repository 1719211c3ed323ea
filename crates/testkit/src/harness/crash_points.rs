//! Which crash points a run goes through: the list is the log's, the choice is the day's.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;

pub use dmq_log::crash_point::{CRASH_POINTS, CrashPoint, OnError, Passage};

/// CI goes through one part of so many a day.
const PARTS: u64 = 4;

/// The points of this run and why it is these: all of them or the named ones (`DMQ_CRASH_POINTS=all`, or names with
/// commas between them), else the quarter of the day.
pub fn chosen_crash_points() -> anyhow::Result<(Vec<&'static CrashPoint>, String)> {
    match std::env::var("DMQ_CRASH_POINTS") {
        Ok(all) if all == "all" => Ok((CRASH_POINTS.iter().collect(), "all points".to_owned())),
        Ok(names) if !names.is_empty() => {
            let names: Vec<&str> = names.split(',').collect();
            let chosen = CRASH_POINTS
                .iter()
                .filter(|point| names.contains(&point.name));
            let chosen: Vec<_> = chosen.collect();
            ensure!(
                chosen.len() == names.len(),
                "not all of {names:?} are crash points"
            );
            Ok((chosen, "the named points".to_owned()))
        }
        _ => {
            let day = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() / 86_400;
            let part = day % PARTS;
            let chosen = (0..).zip(CRASH_POINTS);
            let chosen = chosen.filter(|(number, _)| number % PARTS == part);
            let why = format!("part {part} of {PARTS} (day {day}; DMQ_CRASH_POINTS=all for all)");
            Ok((chosen.map(|(_, point)| point).collect(), why))
        }
    }
}
