//! The shortest part of a failing walk that still fails in the same way.

use std::fmt;
use std::time::{Duration, Instant};

use super::choice::Plan;
use super::run::{attempt, tell};

/// A failing walk without what its failure does not need.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// How it fails.
    pub what: String,
    /// Choices that are left.
    pub choices: usize,
    /// What happens, line by line; without its middle, where it is long.
    pub story: Vec<String>,
}

/// Lines of a story that are worth reading, at its beginning and at its end.
const STORY_LINES: usize = 200;

/// Takes choices away from the walk as long as it still breaks the same property, for at most `time`.
/// `None` if the walk of this seed breaks none.
pub fn shrink(seed: u64, time: Duration) -> Option<Shrunk> {
    let begin = Instant::now();
    let mut plan = Plan::of(seed);
    let broken = attempt(&plan).err()?;
    let property = property_of(&broken.what);
    let mut what = broken.what.clone();
    plan.choices.truncate(broken.choices);
    let fails = |plan: &Plan| {
        let broken = attempt(plan).err()?;
        (property_of(&broken.what) == property).then_some(broken.what)
    };
    let mut size = plan.choices.len().div_ceil(2).max(1);
    loop {
        let (before, mut at) = (plan.choices.len(), 0);
        while at < plan.choices.len() && begin.elapsed() < time {
            let mut shorter = plan.clone();
            let end = (at + size).min(shorter.choices.len());
            shorter.choices.drain(at..end);
            match fails(&shorter) {
                Some(text) => (plan, what) = (shorter, text),
                None => at = end,
            }
        }
        if begin.elapsed() >= time || (size == 1 && plan.choices.len() == before) {
            break;
        }
        size = size.div_ceil(2);
    }
    let mut story = tell(&plan);
    if story.len() > 2 * STORY_LINES {
        let end = story.len() - STORY_LINES;
        story.splice(STORY_LINES..end, ["    ...".to_owned()]);
    }
    let choices = plan.choices.len();
    Some(Shrunk {
        what,
        choices,
        story,
    })
}

/// The property's name, or what the text says beside its numbers.
fn property_of(what: &str) -> String {
    let name = what.split(':').next().unwrap_or(what);
    let letters = |c: &char| c.is_alphabetic() || *c == ' ';
    name.chars().filter(letters).take(60).collect()
}

impl fmt::Display for Shrunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "shortest part that still fails: {} actions",
            self.choices
        )?;
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        write!(f, "{}", self.what)
    }
}
