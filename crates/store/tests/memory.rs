//! The store in memory against the conformance suite, and its faults.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what failed"
)]

use async_trait::async_trait;
use dmq_metadata::{DirectoryId, Term};
use dmq_store::conformance::history::History;
use dmq_store::conformance::{Backend, Tamper, assert_at, bring_to, prepare_with};
use dmq_store::memory::CommitFault;
use dmq_store::{MemoryDatabase, MemoryStore, Position, Prepared, StateStore, StoreError};

struct Memory(MemoryDatabase);

#[async_trait]
impl Backend for Memory {
    fn open(&self) -> Box<dyn StateStore> {
        Box::new(MemoryStore::new(self.0.clone()))
    }

    async fn tamper(&self, tamper: Tamper) {
        self.0.edit_position(|position| edit(position, tamper));
        match tamper {
            Tamper::EditRow => self
                .0
                .edit_partition_rows(|row| row.leader_epoch = row.leader_epoch.next()),
            Tamper::LoseRow => self.0.lose_partition_row(),
            Tamper::LosePosition => self.0.lose_position(),
            _ => {}
        }
    }
}

fn edit(position: &mut Position, tamper: Tamper) {
    let owner = &mut position.owner;
    match tamper {
        Tamper::OtherCluster => owner.cluster_id = "another".parse().unwrap(),
        Tamper::OtherNode => owner.node.0 = 99,
        Tamper::OtherDirectory => owner.directory = DirectoryId(uuid::Uuid::from_u128(0xff)),
        Tamper::LowerIncarnation => owner.incarnation.number -= 1,
        Tamper::HigherIncarnation => owner.incarnation.number += 1,
        Tamper::OtherNonce => owner.incarnation.nonce = 1,
        Tamper::OtherTerm => position.at.term = Term(position.at.term.0 + 1),
        Tamper::NextOwner => position.owner_epoch += 1,
        Tamper::EditRow | Tamper::LoseRow | Tamper::LosePosition => {}
    }
}

dmq_store::conformance_tests!(async { Some(Memory(MemoryDatabase::new())) });

#[tokio::test]
async fn a_commit_without_an_answer_is_found_out_by_the_position() {
    for (fault, stands_at) in [(CommitFault::Applied, 20), (CommitFault::Lost, 10)] {
        let memory = Memory(MemoryDatabase::new());
        let history = History::new(40, 20);
        let mut store = memory.open();
        bring_to(&mut *store, &history, 10).await.unwrap();
        memory.0.fail_next_commit(fault);
        let unknown = store.apply(&history.batch(11, 20)).await;
        assert!(
            matches!(unknown, Err(StoreError::CommitUnknown(_))),
            "{unknown:?}"
        );
        let Prepared::Resume { from } = prepare_with(&mut *store, &history, 0).await.unwrap()
        else {
            panic!("the rows are ours")
        };
        assert_eq!(from.0, stands_at + 1);
        if from.0 <= 20 {
            store.apply(&history.batch(from.0, 20)).await.unwrap();
        }
        assert_at(&memory, &history, 20).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_waited_for() {
    let memory = Memory(MemoryDatabase::new());
    let history = History::new(41, 20);
    let mut store = memory.open();
    bring_to(&mut *store, &history, 10).await.unwrap();
    memory.0.set_down(true);
    let down = store.apply(&history.batch(11, 20)).await;
    assert!(matches!(down, Err(StoreError::Unavailable(_))), "{down:?}");
    memory.0.set_down(false);
    let prepared = prepare_with(&mut *store, &history, 0).await.unwrap();
    assert!(matches!(prepared, Prepared::Resume { .. }), "{prepared:?}");
    store.apply(&history.batch(11, 20)).await.unwrap();
    assert_at(&memory, &history, 20).await.unwrap();
}
