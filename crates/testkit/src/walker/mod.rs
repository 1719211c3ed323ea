//! An untimed random walk over a cluster of cores: at each step chance delivers, drops or repeats any
//! message, completes or loses writes, crashes, proposes, reads, transfers, snapshots or purges, and an
//! observer who sees everything checks Raft's properties. It finds what timed simulations miss.
//!
//! A seed is a walk: [`walk`] with the number that a failure prints does the same again.

mod action;
mod coverage;
pub(crate) mod dice;
mod disk;
mod ghost;
mod liveness;
mod network;
mod world;

use std::any::Any;
use std::fmt;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use dmq_raft::{
    Config, Configuration, DirectoryId, Entry, EntryKind, HardState, LogIndex, MemberId, NodeId,
    Persist, Term,
};

pub use coverage::{Coverage, Event};

use action::Walker;
use dice::Dice;
use disk::Disk;
use ghost::Ghost;
use world::{Member, World};

/// Actions of one walk.
pub const STEPS: usize = 400;

/// A property that broke, and how to see it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Give it to [`walk`].
    pub seed: u64,
    /// Which property, and how.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, what } = self;
        write!(
            f,
            "walk {seed} failed: {what}\nreplay: cargo xtask walker --seed {seed}"
        )
    }
}

/// When to stop walking.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Walks that are done whatever time they take.
    pub walks_min: u64,
    /// More are done until so much time has passed.
    pub time: Duration,
}

/// What many walks did.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Number of walks.
    pub walks: u64,
    /// What happened in them.
    pub coverage: Coverage,
    /// How long they took.
    pub elapsed: Duration,
}

impl Totals {
    /// Adds another run's figures.
    pub fn add(&mut self, other: &Self) {
        self.walks += other.walks;
        self.elapsed += other.elapsed;
        self.coverage.add(&other.coverage);
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (walks, actions) = (self.walks, self.coverage.actions());
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "{walks} walks, {actions} actions in {seconds:.1} s")?;
        write!(f, "{}", self.coverage)
    }
}

/// Walks from `first_seed` on, seed by seed, until the budget is used up.
///
/// # Errors
/// The first walk that broke a property.
pub fn walk_many(first_seed: u64, budget: Budget) -> Result<Totals, Failure> {
    let begin = Instant::now();
    let mut totals = Totals::default();
    while totals.walks < budget.walks_min || begin.elapsed() < budget.time {
        totals
            .coverage
            .add(&walk(first_seed.wrapping_add(totals.walks))?);
        totals.walks += 1;
    }
    totals.elapsed = begin.elapsed();
    Ok(totals)
}

/// One walk. The same seed gives the same walk, on every machine.
///
/// # Errors
/// The property that broke.
pub fn walk(seed: u64) -> Result<Coverage, Failure> {
    catch_unwind(|| one_walk(seed)).map_err(|cause| Failure {
        seed,
        what: text_of(&*cause),
    })
}

fn one_walk(seed: u64) -> Coverage {
    let mut dice = Dice::new(seed);
    let (mut world, birth) = create(&mut dice);
    let mut walker = Walker::new(dice, birth);
    for _ in 0..STEPS {
        walker.act(&mut world);
    }
    if seed.is_multiple_of(4) {
        liveness::heal_and_demand_progress(&mut world, &mut walker);
    }
    world.coverage
}

/// Three or five voters, sometimes with a learner; initialised, or still to be.
fn create(dice: &mut Dice) -> (World, Option<Configuration>) {
    let voters = if dice.once_in(3) { 5 } else { 3 };
    let learners = usize::from(dice.once_in(4));
    let members = voters + learners;
    let mut configuration = Configuration::of_voters((0..voters).map(member_id));
    configuration.learners = (voters..members).map(member_id).collect();
    let born = !dice.once_in(4);
    let mut world = World {
        members: Vec::new(),
        network: Vec::new(),
        cut: 0,
        ghost: Ghost::default(),
        coverage: Coverage::default(),
        late_fill: dice.once_in(2),
        voters,
    };
    let election_ticks = [3, 6, 12, 24][dice.below(4)];
    let first = first_write(&configuration);
    world
        .ghost
        .appended(dmq_raft::EntryId::ZERO, &first.entries[0]);
    for at in 0..members {
        let mut disk = Disk::default();
        if born {
            disk.take(&first);
        }
        world.members.push(Member::new(
            config(dice, member_id(at), election_ticks),
            disk,
        ));
        world.start(at, dice);
    }
    (world, (!born).then_some(configuration))
}

/// What [`dmq_raft::Input::Initialize`] writes.
fn first_write(configuration: &Configuration) -> Persist {
    let (index, term, kind) = (LogIndex(1), Term(1), EntryKind::Configuration);
    Persist {
        io: dmq_raft::IoSeq(0),
        hard_state: Some(HardState { term, vote: None }),
        start: None,
        truncate_from: None,
        entries: vec![Entry {
            index,
            term,
            kind,
            payload: configuration.encode(),
        }],
    }
}

/// Short timeouts and small windows, so that a walk of a few hundred steps meets all of them.
fn config(dice: &mut Dice, id: MemberId, election_ticks: u32) -> Config {
    let mut config = Config::new(id, 0);
    config.heartbeat_ticks = 1;
    config.election_ticks = election_ticks;
    config.check_quorum_ticks = election_ticks + 1 + u32::from(dice.once_in(2)) * 20;
    config.transfer_ticks = 1 + election_ticks / 2;
    config.inflight_messages_max = 1 + dice.below(4);
    config.append_entries_max = if dice.once_in(2) {
        1
    } else {
        1 + dice.below(4)
    };
    config.append_bytes_max = 200;
    config.inflight_bytes_max = 400;
    config.entry_size_max = 100;
    config.uncommitted_bytes_max = 400;
    config
}

fn member_id(at: usize) -> MemberId {
    let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
    MemberId {
        node: NodeId(number),
        directory: DirectoryId(u128::from(number) << 64),
    }
}

fn text_of(cause: &(dyn Any + Send)) -> String {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| cause.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}
