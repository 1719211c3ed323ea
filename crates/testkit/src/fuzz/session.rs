//! One target from the corpus on: replay, search, and what is left in the corpus.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use super::engine::{measured, shortened};
use super::{Answer, Corpus, Crash, Engine, Figures, Meter, Target, corpus_root};

/// Bytes that a target's found inputs may take in the repository.
const ESSENCE_BYTES_MAX: usize = 12 << 10;

/// What a search came to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The figures.
    pub figures: Figures,
    /// Inputs that together show all that was seen, short ones first.
    pub essence: Vec<Vec<u8>>,
}

/// Runs every seed, which must be taken, and every input of the corpus: how many there were.
///
/// # Errors
/// A broken promise, with the file.
pub fn replay(target: &Target, meter: Meter) -> anyhow::Result<usize> {
    let seeds = (target.seeds)();
    for (number, seed) in seeds.iter().enumerate() {
        match measured(target, meter, seed) {
            Ok((Answer { taken: true, .. }, _)) => {}
            Ok(_) => bail!("{}: seed {number} is refused: {seed:?}", target.name),
            Err(what) => bail!("{}: seed {number}: {what}", target.name),
        }
    }
    let inputs = corpus(target).inputs()?;
    for (path, input) in &inputs {
        try_input(target, meter, path, input)?;
    }
    Ok(seeds.len() + inputs.len())
}

/// Runs one input of a file.
///
/// # Errors
/// A broken promise.
pub fn try_input(
    target: &Target,
    meter: Meter,
    path: &Path,
    input: &[u8],
) -> anyhow::Result<Answer> {
    if let Ok((answer, _)) = measured(target, meter, input) {
        return Ok(answer);
    }
    let Crash { input, what } = shortened(target, meter, input);
    let (name, path) = (target.name, path.display());
    bail!("{name}: {path}: {what}\nthe shortest input that fails: {input:?}");
}

/// Searches for so long from the seeds and the corpus on.
///
/// # Errors
/// A broken promise; the input is in the corpus from then on, and the error says how to replay it.
pub fn fuzz(target: &Target, meter: Meter, seed: u64, time: Duration) -> anyhow::Result<Found> {
    let mut inputs = (target.seeds)();
    inputs.extend(corpus(target).inputs()?.into_iter().map(|(_, input)| input));
    let begin = Instant::now();
    let searched = Engine::new(target, meter, &inputs, seed).and_then(|mut engine| {
        engine.search(|_| begin.elapsed() >= time)?;
        Ok(engine)
    });
    match searched {
        Ok(mut engine) => Ok(Found {
            figures: engine.figures(),
            essence: engine.essence(ESSENCE_BYTES_MAX),
        }),
        Err(crash) => Err(report(target, &crash)?),
    }
}

fn report(target: &Target, crash: &Crash) -> anyhow::Result<anyhow::Error> {
    let path = corpus(target).add("crash-", &crash.input);
    let path = path.context("cannot write the input that fails")?;
    let (name, shown) = (target.name, path.display());
    Ok(anyhow::anyhow!(
        "{name}: {}\nthe input is in {shown}; replay it with\n  \
         cargo xtask fuzz --target {name} --input {shown}",
        crash.what
    ))
}

/// Writes what a search found into the corpus, in the place of what an earlier one found: the new files.
///
/// # Errors
/// If a file cannot be written or removed.
pub fn grow(target: &Target, essence: &[Vec<u8>]) -> anyhow::Result<Vec<PathBuf>> {
    const PREFIX: &str = "found-";
    let corpus = corpus(target);
    for (path, _) in corpus.inputs()? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(PREFIX) {
            std::fs::remove_file(&path)?;
        }
    }
    let seeds = (target.seeds)();
    let new = essence.iter().filter(|input| !seeds.contains(input));
    let written = new.map(|input| corpus.add(PREFIX, input));
    Ok(written.collect::<Result<_, _>>()?)
}

fn corpus(target: &Target) -> Corpus {
    Corpus::new(corpus_root(), target.name)
}
