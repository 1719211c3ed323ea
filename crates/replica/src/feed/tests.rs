//! The projector feed against a store that behaves, fails, falls behind or vanishes.

use dmq_metadata::{Changes, ClusterId, FeatureLevel, Image, LogTime, MetadataIndex, StateHash};
use dmq_raft::{Configuration, EntryId, Term};

use super::*;

fn at(index: u64) -> EntryId {
    EntryId::new(Term(1), LogIndex(index))
}

/// A view at this index, without rows.
fn view(index: u64) -> View {
    let mut image = Image::new(ClusterId::parse("dmq").unwrap());
    for next in 1..=index {
        dmq_metadata::advance(&mut image, MetadataIndex(next)).unwrap();
    }
    let configuration = (LogIndex(0), Arc::new(Configuration::default()));
    View {
        image,
        last: at(index),
        configuration,
    }
}

fn set(index: u64) -> ChangeSet {
    ChangeSet {
        id: at(index),
        changes: Changes::default(),
        configuration: (LogIndex(0), Arc::new(Configuration::default())),
        state_hash: StateHash(0),
        feature_level: FeatureLevel(1),
        log_time: LogTime(0),
        size_bytes: 10,
    }
}

fn changes(feed: &mut ProjectorFeed, indexes: std::ops::RangeInclusive<u64>) {
    let last = *indexes.end();
    feed.handle(FeedInput::Changes {
        sets: indexes.map(set).collect(),
        view: view(last),
    });
}

fn durable(feed: &mut ProjectorFeed, index: u64) {
    feed.handle(FeedInput::Durable(LogIndex(index)));
}

fn resume(feed: &mut ProjectorFeed, index: u64) {
    feed.handle(FeedInput::Start(FeedStart::Resume {
        at: LogIndex(index),
    }));
}

fn done(feed: &mut ProjectorFeed) {
    feed.handle(FeedInput::Stored(StoreResult::Done));
}

/// The next work as text: `first..=last` of a batch, or `copy index`.
fn work(feed: &mut ProjectorFeed) -> String {
    match feed.next_work() {
        None => "nothing".into(),
        Some(FeedWork::Rebuild(view)) => format!("copy {}", view.last.index),
        Some(FeedWork::Apply(batch)) => {
            let first = batch.sets.first().unwrap().id.index;
            assert_eq!(batch.expected.next(), first);
            format!("{first}..={}", batch.last().unwrap().id.index)
        }
    }
}

#[test]
fn batches_follow_each_other_and_never_pass_the_durable_index() {
    let mut feed = ProjectorFeed::new(view(0));
    resume(&mut feed, 0);
    changes(&mut feed, 1..=5);
    assert_eq!(work(&mut feed), "nothing");
    durable(&mut feed, 3);
    assert_eq!(work(&mut feed), "1..=3");
    assert_eq!(work(&mut feed), "nothing", "one transaction at a time");
    durable(&mut feed, 9);
    done(&mut feed);
    assert_eq!(work(&mut feed), "4..=5");
    done(&mut feed);
    assert_eq!(work(&mut feed), "nothing");
    let report = feed.report().unwrap();
    assert_eq!(report.index, LogIndex(5));
    assert_eq!(report.health, ProjectionHealth::Healthy);
    assert_eq!(feed.report(), None);
}

#[test]
fn entries_that_replace_cut_ones_wait_until_they_are_durable_themselves() {
    let mut feed = ProjectorFeed::new(view(0));
    resume(&mut feed, 0);
    durable(&mut feed, 4);
    changes(&mut feed, 1..=2);
    assert_eq!(work(&mut feed), "1..=2");
    done(&mut feed);
    durable(&mut feed, 2);
    changes(&mut feed, 3..=4);
    assert_eq!(
        work(&mut feed),
        "nothing",
        "3 and 4 were durable with other content"
    );
    durable(&mut feed, 3);
    assert_eq!(work(&mut feed), "3..=3");
}

#[test]
fn a_store_ahead_of_the_image_gets_only_what_it_does_not_have() {
    let mut feed = ProjectorFeed::new(view(0));
    durable(&mut feed, 10);
    resume(&mut feed, 4);
    changes(&mut feed, 1..=3);
    assert_eq!(work(&mut feed), "nothing");
    changes(&mut feed, 4..=6);
    assert_eq!(work(&mut feed), "5..=6");
}

#[test]
fn an_unknown_commit_is_resolved_by_the_position_that_is_found() {
    for (found, next) in [(2, "3..=5"), (5, "nothing")] {
        let mut feed = ProjectorFeed::new(view(0));
        durable(&mut feed, 10);
        resume(&mut feed, 2);
        changes(&mut feed, 3..=5);
        assert_eq!(work(&mut feed), "3..=5");
        feed.handle(FeedInput::Stored(StoreResult::Unavailable("COMMIT".into())));
        assert_eq!(feed.report().unwrap().health, ProjectionHealth::Down);
        assert_eq!(work(&mut feed), "nothing");
        resume(&mut feed, found);
        assert_eq!(work(&mut feed), next);
    }
}

#[test]
fn a_store_that_is_lost_while_idle_is_reported_and_gone_on_with() {
    let mut feed = ProjectorFeed::new(view(0));
    durable(&mut feed, 10);
    resume(&mut feed, 0);
    assert_eq!(work(&mut feed), "nothing");
    assert_eq!(feed.report().unwrap().health, ProjectionHealth::Healthy);
    feed.handle(FeedInput::Stored(StoreResult::Unavailable("gone".into())));
    assert_eq!(feed.report().unwrap().health, ProjectionHealth::Down);
    changes(&mut feed, 1..=1);
    assert_eq!(work(&mut feed), "nothing");
    resume(&mut feed, 0);
    assert_eq!(work(&mut feed), "1..=1");
}

#[test]
fn a_queue_that_is_too_long_or_a_gap_copies_the_image_once_it_is_durable() {
    let mut feed = ProjectorFeed::new(view(0));
    feed.queue_bytes_max = 100;
    changes(&mut feed, 1..=11);
    assert_eq!(feed.queued_bytes(), 0);
    changes(&mut feed, 12..=13);
    durable(&mut feed, 12);
    resume(&mut feed, 0);
    assert_eq!(work(&mut feed), "nothing", "13 is not durable yet");
    assert_eq!(feed.report().unwrap().health, ProjectionHealth::Rebuilding);
    durable(&mut feed, 13);
    changes(&mut feed, 14..=15);
    assert_eq!(work(&mut feed), "copy 13");
    durable(&mut feed, 15);
    done(&mut feed);
    assert_eq!(work(&mut feed), "14..=15");
}

#[test]
fn an_installed_snapshot_is_copied_also_when_a_batch_was_out() {
    let mut feed = ProjectorFeed::new(view(0));
    durable(&mut feed, 50);
    resume(&mut feed, 0);
    changes(&mut feed, 1..=2);
    assert_eq!(work(&mut feed), "1..=2");
    feed.handle(FeedInput::Replaced(view(40)));
    done(&mut feed);
    assert_eq!(work(&mut feed), "copy 40");
    feed.handle(FeedInput::Replaced(view(45)));
    done(&mut feed);
    assert_eq!(
        work(&mut feed),
        "copy 45",
        "what came after 40 does not exist as changes"
    );
    done(&mut feed);
    changes(&mut feed, 46..=46);
    assert_eq!(work(&mut feed), "46..=46");
}

#[test]
fn a_poisoned_store_stops_for_good_and_holds_nothing() {
    let mut feed = ProjectorFeed::new(view(0));
    durable(&mut feed, 50);
    resume(&mut feed, 0);
    changes(&mut feed, 1..=2);
    assert_eq!(work(&mut feed), "1..=2");
    feed.handle(FeedInput::Stored(StoreResult::Stopped("constraint".into())));
    changes(&mut feed, 3..=4);
    assert_eq!(feed.queued_bytes(), 0);
    resume(&mut feed, 0);
    assert_eq!(work(&mut feed), "nothing");
    let health = ProjectionHealth::Stopped("constraint".into());
    assert_eq!(feed.report().unwrap().health, health);
}
