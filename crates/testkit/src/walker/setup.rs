//! The world that a walk begins in.

use dmq_raft::{
    Config, Configuration, Entry, EntryId, EntryKind, HardState, IoSeq, LogIndex, MemberId,
    Persist, Term,
};

use super::dice::Dice;
use super::disk::Disk;
use super::ids::member_id;
use super::world::{Member, World};

/// Voters at the beginning: mostly three or five, but one, two and seven must work as well.
const VOTERS: [usize; 8] = [3, 3, 3, 3, 5, 5, 7, 1];

/// A voter set, sometimes with a learner, sometimes with nodes that belong to nobody yet; initialised, or
/// still to be.
pub(crate) fn create(dice: &mut Dice) -> World {
    let voters = VOTERS[dice.below(VOTERS.len())];
    let learners = usize::from(dice.once_in(4));
    let spare = match voters {
        1 => 1 + dice.below(3),
        7 => 0,
        _ => dice.below(3),
    };
    let members = voters + learners + spare;
    let mut configuration = Configuration::of_voters((0..voters).map(|at| member_id(at, 0)));
    configuration.learners = (voters..voters + learners)
        .map(|at| member_id(at, 0))
        .collect();
    let born = !dice.once_in(4);
    let late_fill = dice.once_in(2);
    let election_ticks = [3, 6, 12, 24][dice.below(4)];
    let caught_up = [0, 2, 1000][dice.below(3)];
    let mut world = World::new(late_fill, (!born).then(|| configuration.clone()));
    let first = first_write(&configuration);
    let slot = world.book.slot(&first.entries[0]);
    world.ghost.appended(EntryId::ZERO, LogIndex(1), slot);
    if born {
        world.ghost.decides((LogIndex(1), slot.content));
    }
    for at in 0..members {
        let mut disk = Disk::default();
        if born && at < voters + learners {
            disk.take(&first, &mut world.book);
        }
        let config = config(dice, member_id(at, 0), election_ticks, caught_up);
        world.members.push(Member::new(config, disk));
        world.start(at, dice);
    }
    world
}

/// What [`dmq_raft::Input::Initialize`] writes.
fn first_write(configuration: &Configuration) -> Persist {
    let (index, term, kind) = (LogIndex(1), Term(1), EntryKind::Configuration);
    Persist {
        io: IoSeq(0),
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
fn config(dice: &mut Dice, id: MemberId, election_ticks: u32, caught_up: u64) -> Config {
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
    config.caught_up_entries_max = caught_up;
    config
}
