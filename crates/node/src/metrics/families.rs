//! Gauges of state: taken from status and image when somebody asks, so that no hot path pays for them.

use std::sync::atomic::AtomicU64;

use dmq_metadata::Counts;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::handle::{MemberStatus, NodeState, NodeStatus};

type Number = Gauge<u64, AtomicU64>;

/// The states by the names of `GET /controller`.
const STATES: [(NodeState, &str); 6] = [
    (NodeState::Uninitialized, "UNINITIALIZED"),
    (NodeState::Follower, "FOLLOWER"),
    (NodeState::PreCandidate, "PRE_CANDIDATE"),
    (NodeState::Candidate, "CANDIDATE"),
    (NodeState::Leader, "LEADER"),
    (NodeState::Observer, "OBSERVER"),
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmLabel {
    alarm: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberLabel {
    node_id: u32,
}

/// Defines a struct of plain gauges, registered under the names of its fields.
macro_rules! gauges {
    ($(#[$doc:meta])* $name:ident { $($field:ident: $help:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        struct $name {
            $($field: Number,)*
        }

        impl $name {
            fn new(registry: &mut Registry) -> Self {
                Self {
                    $($field: {
                        let gauge = Number::default();
                        registry.register(stringify!($field), $help, gauge.clone());
                        gauge
                    },)*
                }
            }
        }
    };
}

gauges! {
    /// Consensus.
    Raft {
        current_term: "Raft term",
        current_leader: "Node id of the controller, 0 if none is known",
        high_watermark: "Commit index known here",
        log_end_index: "Last index of the log",
        log_durable_index: "Last durable index of the log",
        log_start_index: "Index before the first entry that the log holds",
        membership_index: "Index of the configuration in force",
        number_of_voters: "Members that vote",
        number_of_observers: "Members that only replicate",
        uncommitted_voter_change: "1 while the configuration in force is not committed",
        transferring: "1 while leadership is handed over",
    }
}

gauges! {
    /// The metadata, by Kafka's names.
    Controller {
        active_controller_count: "1 on the controller, 0 elsewhere",
        active_broker_count: "Brokers that serve",
        fenced_broker_count: "Brokers that are fenced",
        global_topic_count: "Topics",
        global_partition_count: "Partitions",
        offline_partitions_count: "Partitions without a leader",
        preferred_replica_imbalance_count: "Partitions not led by their first replica",
        dedup_entries: "Answers remembered for repeated requests",
        last_applied_index: "Index of the image",
        last_committed_index: "Commit index known here",
        feature_level: "Version of command semantics in force",
        feature_level_max: "Highest version that this binary knows",
    }
}

gauges! {
    /// The database.
    Projection {
        index: "Last index in the database",
        lag: "Entries that the database lacks",
        healthy: "1 while the database is up, and neither rebuilding nor stopped",
        stopped: "1 after the projector stopped for good",
    }
}

gauges! {
    /// The process.
    Node {
        ready: "1 once the image reached what was committed at the start",
        stopping: "1 after SIGTERM",
    }
}

/// All gauges of state.
#[derive(Debug)]
pub(super) struct StatusGauges {
    raft: Raft,
    controller: Controller,
    projection: Projection,
    node: Node,
    state: Family<StateLabel, Number>,
    alarms: Family<AlarmLabel, Number>,
    member_lag: Family<MemberLabel, Number>,
    member_silence: Family<MemberLabel, Gauge<f64, AtomicU64>>,
}

impl StatusGauges {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let state = Family::default();
        let alarms = Family::default();
        let member_lag = Family::default();
        let member_silence = Family::default();
        registry.register(
            "raft_current_state",
            "1 for the state of this node",
            state.clone(),
        );
        registry.register("alarm", "1 for every standing alarm", alarms.clone());
        let help = "Entries that a member lacks, on the controller";
        registry.register("raft_member_lag", help, member_lag.clone());
        let help = "Seconds since a member last answered, on the controller";
        registry.register(
            "raft_member_last_contact_seconds",
            help,
            member_silence.clone(),
        );
        Self {
            raft: Raft::new(registry.sub_registry_with_prefix("raft")),
            controller: Controller::new(registry.sub_registry_with_prefix("controller")),
            projection: Projection::new(registry.sub_registry_with_prefix("projection")),
            node: Node::new(registry.sub_registry_with_prefix("node")),
            state,
            alarms,
            member_lag,
            member_silence,
        }
    }

    pub(super) fn observe(&self, status: &NodeStatus, counts: Counts) {
        self.raft.observe(status);
        self.controller.observe(status, counts);
        self.projection.observe(status);
        self.node.ready.set(u64::from(status.ready));
        self.node.stopping.set(u64::from(status.stopping));
        for (state, name) in STATES {
            let here = u64::from(state == status.state);
            self.state
                .get_or_create(&StateLabel { state: name })
                .set(here);
        }
        self.alarms.clear();
        for alarm in &status.alarms {
            self.alarms
                .get_or_create(&AlarmLabel {
                    alarm: alarm.clone(),
                })
                .set(1);
        }
        self.observe_members(status);
    }

    fn observe_members(&self, status: &NodeStatus) {
        self.member_lag.clear();
        self.member_silence.clear();
        for member in status.members() {
            self.observe_member(status, member);
        }
    }

    fn observe_member(&self, status: &NodeStatus, member: &MemberStatus) {
        let Some(progress) = &member.progress else {
            return;
        };
        let label = MemberLabel {
            node_id: member.id.0,
        };
        let lag = status.last.0.saturating_sub(progress.matched.0);
        self.member_lag.get_or_create(&label).set(lag);
        if let Some(silence) = progress.last_contact {
            self.member_silence
                .get_or_create(&label)
                .set(silence.as_secs_f64());
        }
    }
}

impl Raft {
    fn observe(&self, status: &NodeStatus) {
        let uncommitted = status.membership_index != status.committed_membership_index;
        self.current_term.set(status.term.0);
        self.current_leader
            .set(status.leader.map_or(0, |leader| u64::from(leader.0)));
        self.high_watermark.set(status.commit.0);
        self.log_end_index.set(status.last.0);
        self.log_durable_index.set(status.durable.0);
        self.log_start_index.set(status.log_start.0);
        self.membership_index.set(status.membership_index.0);
        self.number_of_voters.set(status.voters.len() as u64);
        self.number_of_observers.set(status.observers.len() as u64);
        self.uncommitted_voter_change.set(u64::from(uncommitted));
        self.transferring
            .set(u64::from(status.transferring.is_some()));
    }
}

impl Controller {
    fn observe(&self, status: &NodeStatus, counts: Counts) {
        self.active_controller_count
            .set(u64::from(status.is_leader()));
        self.active_broker_count.set(counts.active_brokers as u64);
        self.fenced_broker_count.set(counts.fenced_brokers as u64);
        self.global_topic_count.set(counts.topics as u64);
        self.global_partition_count.set(counts.partitions as u64);
        self.offline_partitions_count
            .set(counts.offline_partitions as u64);
        self.preferred_replica_imbalance_count
            .set(counts.preferred_leader_imbalance as u64);
        self.dedup_entries.set(counts.dedup_entries as u64);
        self.last_applied_index.set(status.applied.0);
        self.last_committed_index.set(status.commit.0);
        self.feature_level.set(u64::from(status.feature_level.0));
        self.feature_level_max
            .set(u64::from(status.feature_level_max.0));
    }
}

impl Projection {
    fn observe(&self, status: &NodeStatus) {
        self.index.set(status.projection.index.0);
        self.lag
            .set(status.applied.0.saturating_sub(status.projection.index.0));
        self.healthy.set(u64::from(status.projection.healthy));
        self.stopped.set(u64::from(status.projection.stopped));
    }
}
