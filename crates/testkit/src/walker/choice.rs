//! What a walk does, as data: a plan is drawn from a seed before anything happens, and a part of it is
//! still a plan. That is what makes a failing walk shorter (see `shrink`).

use super::STEPS;
use super::coverage::Event;
use super::dice::Dice;

/// One choice of the walk: the kind of action, and the chance for whatever the action asks itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) event: Event,
    pub(crate) roll: u64,
}

/// A whole walk, before it is walked.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The world that the walk begins in is drawn from this.
    pub(crate) setup: u64,
    /// Messages between two members keep their order.
    pub(crate) ordered: bool,
    /// Messages on their way at most, of which a walk picks one; older ones are lost first, so that it
    /// keeps moving.
    pub(crate) network_max: usize,
    /// The walk ends with a repair of everything, after which the quorum must get on.
    pub(crate) heal: bool,
    pub(crate) choices: Vec<Choice>,
}

/// The actions with their usual weights. Every walk multiplies each weight by a factor of its own
/// ("swarm testing"): some walks hardly ever crash, others do little else.
const ACTIONS: [(Event, usize); 26] = [
    (Event::Tick, 50),
    (Event::Deliver, 300),
    (Event::Drop, 12),
    (Event::Duplicate, 12),
    (Event::Late, 6),
    (Event::Propose, 30),
    (Event::Sync, 50),
    (Event::SyncAll, 50),
    (Event::Apply, 30),
    (Event::Crash, 6),
    (Event::Restart, 20),
    (Event::Snapshot, 18),
    (Event::Purge, 18),
    (Event::Transfer, 3),
    (Event::Read, 12),
    (Event::Unreachable, 4),
    (Event::Campaign, 8),
    (Event::Stop, 1),
    (Event::Cut, 4),
    (Event::Birth, 4),
    (Event::Corrupt, 2),
    (Event::Voters, 10),
    (Event::Learners, 10),
    (Event::Wipe, 2),
    (Event::Burst, 30),
    (Event::Silence, 10),
];

const FACTORS: [usize; 6] = [0, 1, 1, 1, 2, 5];

const NETWORK_MAX: [usize; 3] = [10, 25, 60];

/// What a walk is mostly about.
#[derive(Clone, Copy)]
enum Mood {
    /// Every action with a weight of its own.
    Swarm,
    /// A leader every few actions, members left behind, snapshots for them.
    Churn,
    /// Elections and little else: figure 8 of the Raft paper takes four of them with one entry
    /// replicated in between.
    Duel,
    /// Members come and go, under leaders that come and go as well.
    Change,
}

fn factor(mood: Mood, event: Event, chance: usize) -> usize {
    match mood {
        Mood::Swarm => match event {
            // A walk in which nobody hears or remembers anything finds nothing.
            Event::Tick | Event::Deliver | Event::SyncAll | Event::Apply | Event::Restart => {
                chance.max(1)
            }
            _ => chance,
        },
        Mood::Churn => match event {
            Event::Silence => 12,
            Event::Crash => 4,
            Event::Restart | Event::Snapshot | Event::Purge | Event::Apply => 3,
            Event::Burst | Event::Propose | Event::Read => 2,
            Event::Birth | Event::Deliver => 1,
            _ => 0,
        },
        Mood::Duel => match event {
            Event::Silence => 12,
            Event::Crash => 4,
            Event::Restart => 3,
            Event::Birth => 1,
            _ => 0,
        },
        Mood::Change => match event {
            Event::Voters | Event::Learners => 6,
            Event::Burst | Event::Silence | Event::Crash | Event::Wipe => 4,
            Event::Restart => 3,
            Event::Snapshot | Event::Purge | Event::Apply | Event::Propose | Event::Birth => 1,
            _ => 0,
        },
    }
}

impl Plan {
    /// The walk of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let setup = dice.roll();
        let table = actions_by_weight(&mut dice);
        let ordered = dice.once_in(3);
        let network_max = NETWORK_MAX[dice.below(NETWORK_MAX.len())];
        let mut draw = || Choice {
            event: table[dice.below(table.len())],
            roll: dice.roll(),
        };
        Self {
            setup,
            ordered,
            network_max,
            heal: seed.is_multiple_of(4),
            choices: (0..STEPS).map(|_| draw()).collect(),
        }
    }
}

/// Every action as often as its weight in this walk says: the quickest way to draw one.
fn actions_by_weight(dice: &mut Dice) -> Vec<Event> {
    let moods = [
        Mood::Swarm,
        Mood::Swarm,
        Mood::Churn,
        Mood::Duel,
        Mood::Change,
    ];
    let mood = moods[dice.below(moods.len())];
    let mut table = Vec::with_capacity(1024);
    for (event, usual) in ACTIONS {
        let weight = usual * factor(mood, event, FACTORS[dice.below(FACTORS.len())]);
        table.extend(std::iter::repeat_n(event, weight));
    }
    table
}
