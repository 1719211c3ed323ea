//! Whether a command of the log is what a client asked for.

use dmq_metadata::{Command, Election, TopicLayout, TopicRef};

use crate::chaos::operation::{Call, REPLICAS};

/// Whether the command is the call's.
pub(super) fn is_of(call: &Call, command: &Command) -> bool {
    match (call, command) {
        (Call::CreateTopic { topic, mark }, Command::CreateTopic(create)) => {
            create.name.as_str() == &**topic
                && create.configs.get("retention.ms") == Some(&*mark.to_string())
                && matches!(&create.layout, TopicLayout::Assigned(rows) if rows.len() == 1 && rows[0].iter().map(|id| id.0).eq(REPLICAS))
        }
        (Call::DeleteTopic { topic }, Command::DeleteTopic(delete)) => {
            is_named(&delete.topic, topic)
        }
        (
            Call::UpdatePartition {
                topic,
                leader,
                broker_epoch,
                leader_epoch,
                partition_epoch,
                isr,
            },
            Command::UpdatePartition(update),
        ) => {
            is_named(&update.topic, topic)
                && update.broker_id.0 == *leader
                && update.broker_epoch.0 == *broker_epoch
                && update.leader_epoch.0 == *leader_epoch
                && update.partition_epoch.0 == *partition_epoch
                && update
                    .new_isr
                    .iter()
                    .map(|member| member.broker_id.0)
                    .eq(isr.iter().copied())
        }
        (Call::ElectLeader { topic, broker }, Command::UpdateLeader(update)) => {
            is_named(&update.topic, topic)
                && matches!(update.election, Election::Designated(id) if id.0 == *broker)
        }
        (Call::RegisterBroker { id, mark }, Command::RegisterBroker(register)) => {
            let rack = register.rack.as_ref().map(ToString::to_string);
            register.broker_id.0 == *id && rack == Some(mark.to_string())
        }
        _ => false,
    }
}

fn is_named(topic: &TopicRef, name: &str) -> bool {
    matches!(topic, TopicRef::Name(known) if known.as_str() == name)
}
