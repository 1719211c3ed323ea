//! A store in memory, for the simulator and for tests: the same rules as SQL, and faults on
//! request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dmq_metadata::{
    Broker, BrokerId, DedupEntry, DedupKey, Image, MetadataIndex, Partition, PartitionId,
    PartitionKey, Row, Settings, StateHash, Topic, TopicId, TopicName, row_hash,
};

use crate::{Audit, Batch, Checkpoint, Found, Owner, Position, RowChanges, StateStore, StoreError};

/// The database behind [`MemoryStore`]s: it outlives them, as a server outlives its clients. Clones
/// share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryDatabase(Arc<Mutex<Contents>>);

/// One writer's connection to a [`MemoryDatabase`].
#[derive(Debug)]
pub struct MemoryStore {
    database: MemoryDatabase,
    /// Owner and epoch that this store claimed, while it holds the writer lock.
    claim: Option<Claim>,
    /// The highest epoch that this store ever had.
    epoch_seen: u64,
}

#[derive(Clone, Debug)]
struct Claim {
    owner: Owner,
    epoch: u64,
}

#[derive(Debug, Default)]
struct Contents {
    position: Option<Position>,
    rows: Rows,
    /// Epoch of the claim that holds the writer lock.
    lock: Option<u64>,
    down: bool,
    next_commit: Option<CommitFault>,
}

/// What the next commit does instead of answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// The batch is in, the answer is lost.
    Applied,
    /// The batch is lost with the answer.
    Lost,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rows {
    topics: BTreeMap<TopicId, Arc<Topic>>,
    /// The constraint that SQL has on topics: one name, one topic.
    names: BTreeMap<TopicName, TopicId>,
    partitions: BTreeMap<PartitionKey, Arc<Partition>>,
    brokers: BTreeMap<BrokerId, Arc<Broker>>,
    dedup: BTreeMap<DedupKey, Arc<DedupEntry>>,
}

impl MemoryDatabase {
    /// An empty database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the server down, or brings it back. Every connection breaks, and with it every lock.
    pub fn set_down(&self, down: bool) {
        let mut contents = self.lock();
        contents.down = down;
        contents.lock = None;
    }

    /// Makes the next commit end without an answer.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.lock().next_commit = Some(fault);
    }

    /// Drops everything, as `DROP DATABASE` does.
    pub fn clear(&self) {
        *self.lock() = Contents::default();
    }

    /// Breaks the lock of whoever holds it, as a server does that finds a connection dead.
    pub fn break_lock(&self) {
        self.lock().lock = None;
    }

    /// Rewrites what the database says about itself, for tests of the restart matrix.
    pub fn edit_position(&self, edit: impl FnOnce(&mut Position)) {
        if let Some(position) = &mut self.lock().position {
            edit(position);
        }
    }

    /// Changes every partition's row behind the store's back.
    pub fn edit_partition_rows(&self, edit: impl Fn(&mut Partition)) {
        for row in self.lock().rows.partitions.values_mut() {
            edit(Arc::make_mut(row));
        }
    }

    /// Deletes what the database says about itself, and leaves the rows.
    pub fn lose_position(&self) {
        self.lock().position = None;
    }

    /// Deletes a partition's row behind the store's back.
    pub fn lose_partition_row(&self) {
        self.lock().rows.partitions.pop_first();
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// A connection to `database`.
    pub const fn new(database: MemoryDatabase) -> Self {
        Self {
            database,
            claim: None,
            epoch_seen: 0,
        }
    }

    /// The contents under this store's lock.
    fn claimed(&self) -> Result<(MutexGuard<'_, Contents>, &Claim), StoreError> {
        let contents = self.up()?;
        match &self.claim {
            Some(claim) if contents.lock == Some(claim.epoch) => Ok((contents, claim)),
            Some(_) => Err(StoreError::Unavailable(
                "the connection was lost".to_owned(),
            )),
            None => Err(StoreError::Invalid("the store was not claimed".to_owned())),
        }
    }

    fn up(&self) -> Result<MutexGuard<'_, Contents>, StoreError> {
        let contents = self.database.lock();
        if contents.down {
            return Err(StoreError::Unavailable("the server is down".to_owned()));
        }
        Ok(contents)
    }

    /// Takes the writer lock under a higher epoch than any before.
    fn take_lock(&mut self, me: &Owner) -> Result<u64, StoreError> {
        let mut contents = self.up()?;
        if contents.lock.is_some() && contents.lock != self.claim.as_ref().map(|claim| claim.epoch)
        {
            return Err(StoreError::Unavailable(
                "another writer holds the lock".to_owned(),
            ));
        }
        let found = contents
            .position
            .as_ref()
            .map_or(0, |position| position.owner_epoch);
        let epoch = found.max(self.epoch_seen) + 1;
        contents.lock = Some(epoch);
        drop(contents);
        self.epoch_seen = epoch;
        self.claim = Some(Claim {
            owner: me.clone(),
            epoch,
        });
        Ok(epoch)
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    fn describe(&self) -> String {
        "memory".to_owned()
    }

    async fn position(&mut self) -> Result<Found, StoreError> {
        Ok(self.up()?.position.clone().map_or(Found::Empty, Found::At))
    }

    async fn claim(&mut self, me: &Owner) -> Result<Found, StoreError> {
        let found = self.up()?.position.clone();
        if let Some(position) = &found {
            position.check_claim(me, self.epoch_seen)?;
        }
        let owner_epoch = self.take_lock(me)?;
        let mut contents = self.up()?;
        let position = contents
            .position
            .get_or_insert_with(|| Position::before_first(me));
        position.owner_epoch = owner_epoch;
        let position = position.clone();
        if position.at.index == MetadataIndex(0) {
            contents.rows = Rows::default();
        }
        Ok(match found {
            Some(_) => Found::At(position),
            None => Found::Empty,
        })
    }

    async fn wipe(&mut self, me: &Owner) -> Result<(), StoreError> {
        let owner_epoch = self.take_lock(me)?;
        let mut contents = self.up()?;
        contents.rows = Rows::default();
        contents.position = Some(Position {
            owner_epoch,
            ..Position::before_first(me)
        });
        Ok(())
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let (mut contents, claim) = self.claimed()?;
        let position = contents.owned(claim)?;
        batch.check_follows(position.at.index)?;
        contents.rows.check_names(&batch.rows)?;
        contents.commit(&batch.at, |rows| rows.write(&batch.rows))
    }

    async fn rebuild(&mut self, image: &Image, at: &Checkpoint) -> Result<(), StoreError> {
        let (mut contents, claim) = self.claimed()?;
        contents.owned(claim)?;
        contents.commit(at, |rows| *rows = Rows::of(image))
    }

    async fn audit(&mut self) -> Result<Audit, StoreError> {
        let contents = self.up()?;
        let Some(position) = &contents.position else {
            return Err(StoreError::Invalid("there are no rows to audit".to_owned()));
        };
        let at = position.at.clone();
        let rows_hash = Ok(contents.rows.hash(&at));
        Ok(Audit { at, rows_hash })
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let mut contents = self.database.lock();
        if self
            .claim
            .as_ref()
            .is_some_and(|claim| contents.lock == Some(claim.epoch))
        {
            contents.lock = None;
        }
    }
}

impl Contents {
    /// The position, if it is still this claim's.
    fn owned(&self, claim: &Claim) -> Result<&Position, StoreError> {
        match &self.position {
            Some(position)
                if position.owner_epoch == claim.epoch && position.owner == claim.owner =>
            {
                Ok(position)
            }
            Some(_) => Err(StoreError::Fenced("another owner came".to_owned())),
            None => Err(StoreError::Unavailable(
                "the database was emptied".to_owned(),
            )),
        }
    }

    /// All of the change with its position, or nothing of it: `write` cannot fail.
    fn commit(&mut self, at: &Checkpoint, write: impl FnOnce(&mut Rows)) -> Result<(), StoreError> {
        let fault = self.next_commit.take();
        if fault != Some(CommitFault::Lost) {
            write(&mut self.rows);
            if let Some(position) = &mut self.position {
                position.at = at.clone();
            }
        }
        if fault.is_some() {
            self.lock = None;
            return Err(StoreError::CommitUnknown("the connection broke".to_owned()));
        }
        Ok(())
    }
}

impl Rows {
    fn of(image: &Image) -> Self {
        Self {
            topics: image
                .topics()
                .map(|row| (row.id, Arc::clone(row)))
                .collect(),
            names: image
                .topics()
                .map(|row| (row.name.clone(), row.id))
                .collect(),
            partitions: image
                .partitions()
                .map(|row| (row.key(), Arc::clone(row)))
                .collect(),
            brokers: image
                .brokers()
                .map(|row| (row.id, Arc::clone(row)))
                .collect(),
            dedup: image
                .dedup_entries()
                .map(|row| (row.key.clone(), Arc::clone(row)))
                .collect(),
        }
    }

    /// Deletes first, then puts, as SQL does. Costs what changes, not what is there.
    fn write(&mut self, changes: &RowChanges) {
        for topic in &changes.deleted_partitions {
            let range = (*topic, PartitionId(0))..=(*topic, PartitionId(u32::MAX));
            let keys: Vec<_> = self.partitions.range(range).map(|(key, _)| *key).collect();
            for key in keys {
                self.partitions.remove(&key);
            }
        }
        for id in &changes.deleted_topics {
            self.drop_topic(*id);
        }
        for id in &changes.deleted_brokers {
            self.brokers.remove(id);
        }
        for key in &changes.deleted_dedup {
            self.dedup.remove(key);
        }
        for topic in changes.topics.values() {
            self.drop_topic(topic.id);
            self.names.insert(topic.name.clone(), topic.id);
            self.topics.insert(topic.id, Arc::clone(topic));
        }
        self.partitions.extend(changes.partitions.clone());
        self.brokers.extend(changes.brokers.clone());
        self.dedup.extend(changes.dedup.clone());
    }

    fn drop_topic(&mut self, id: TopicId) {
        if let Some(topic) = self.topics.remove(&id) {
            self.names.remove(&topic.name);
        }
    }

    /// Whether these changes would leave two topics of one name.
    fn check_names(&self, changes: &RowChanges) -> Result<(), StoreError> {
        let stays =
            |id: &TopicId| !changes.deleted_topics.contains(id) && !changes.topics.contains_key(id);
        let mut written = BTreeSet::new();
        let twice = changes.topics.values().find(|topic| {
            !written.insert(&topic.name) || self.names.get(&topic.name).is_some_and(stays)
        });
        twice.map_or(Ok(()), |topic| {
            Err(StoreError::Poison(format!(
                "two topics named {}",
                topic.name
            )))
        })
    }

    fn hash(&self, at: &Checkpoint) -> StateHash {
        let settings = Settings {
            feature_level: at.feature_level,
            log_time: at.log_time,
        };
        let rows = std::iter::once(Row::Settings(&settings))
            .chain(self.topics.values().map(|row| Row::Topic(row)))
            .chain(self.partitions.values().map(|row| Row::Partition(row)))
            .chain(self.brokers.values().map(|row| Row::Broker(row)))
            .chain(self.dedup.values().map(|row| Row::Dedup(row)));
        rows.map(|row| row_hash(row, at.feature_level)).sum()
    }
}
