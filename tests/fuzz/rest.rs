//! Bodies of REST requests.

use dmq_node::rest::fuzzing::BODIES;
use dmq_testkit::fuzz::{Answer, Form, Target};

/// The reader of every body.
pub(super) const TARGET: Target = Target {
    name: "rest_body",
    form: Form::Text,
    run,
    seeds,
    memory_base: 256 << 10,
    // A list of lists of numbers costs some forty times its text.
    memory_factor: 128,
};

/// Every kind of body sees the input. What is taken is written as a body that is taken, and reads the same.
fn run(input: &[u8]) -> Answer {
    let mut all = Answer::refused(&"none");
    for (name, read) in BODIES {
        all = all.or(match read(input) {
            Err(refusal) => Answer::refused(&refusal),
            Ok(written) => {
                let again = read(&written);
                assert_eq!(again.as_ref(), Ok(&written), "{name}");
                Answer::taken(&String::from_utf8_lossy(&written))
            }
        });
    }
    all
}

fn seeds() -> Vec<Vec<u8>> {
    let uuid = "00000000-0000-4000-8000-000000000001";
    let bodies = [
        r#"{"topicName": "orders", "numPartitions": 3, "replicationFactor": 2}"#.to_owned(),
        r#"{"topicName": "a.b", "partitionCount": 1, "configs": {"retention.ms": 1000, "cleanup.policy": "compact",
            "unclean.leader.election.enable": true}}"#
            .to_owned(),
        r#"{"topicName": "x", "assignments": [[1, 2], [2, 3]]}"#.to_owned(),
        format!(
            r#"{{"id": 101, "host": "localhost", "port": 8081, "rack": "r", "incarnationId": "{uuid}", "clusterId": "dmq"}}"#
        ),
        r#"{"brokerId": 1, "host": "::1", "port": 1}"#.to_owned(),
        r#"{"brokerEpoch": 7, "currentMetadataIndex": 9, "wantFence": false, "wantShutDown": null}"#.to_owned(),
        r#"{"featureLevel": 1}"#.to_owned(),
        format!(
            r#"{{"clusterId": "dmq", "incarnation": "1", "voters": [{{"id": 1, "directoryId": "{uuid}"}}]}}"#
        ),
        r#"{"target": 2, "expectedTerm": 4}"#.to_owned(),
        format!(
            r#"{{"voters": [{{"id": 2, "directoryId": "{uuid}"}}], "expectedMembershipIndex": 9}}"#
        ),
        format!(r#"{{"id": 4, "directoryId": "{uuid}", "expectedMembershipIndex": 9}}"#),
        r"{}".to_owned(),
    ];
    bodies.into_iter().map(String::into_bytes).collect()
}
