//! Rules of names and settings.

use crate::RejectionCode::{InvalidConfig, InvalidTopic};
use crate::{
    ClusterId, ConfigSpec, Host, IdempotencyKey, Rack, TOPIC_CONFIGS, TopicConfigs, TopicName,
};

#[test]
fn topic_names_follow_kafka() {
    let longest = "a".repeat(249);
    for good in ["a", "orders", "A.b_c-9", "...", ".a", "-", &longest] {
        assert_eq!(TopicName::parse(good).unwrap().as_str(), good);
    }
    let too_long = "a".repeat(250);
    for bad in [
        "", ".", "..", "a b", "a/b", "\u{e4}", "a\0", "a\n", "a:b", &too_long,
    ] {
        let rejection = TopicName::parse(bad).unwrap_err();
        assert_eq!(rejection.code, InvalidTopic);
        assert_eq!(rejection.field.as_deref(), Some("topicName"));
        let shown = bad.replace('\0', "\\u{0}").replace('\n', "\\n");
        let start = format!("topicName is '{shown}': ");
        assert!(rejection.message.starts_with(&start), "{rejection}");
        assert!(
            rejection.message.ends_with("neither \".\" nor \"..\""),
            "{rejection}"
        );
    }
}

#[test]
fn other_names_have_their_rules() {
    assert!(ClusterId::parse("dmq_1-A").is_ok());
    for bad in ["", "a.b", &"a".repeat(65)] {
        assert!(ClusterId::parse(bad).is_err(), "{bad}");
    }
    for good in [
        "localhost",
        "10.0.0.1",
        "::1",
        "[fe80::1%eth0]",
        "meta-0.meta-raft.ns.svc",
    ] {
        assert!(Host::parse(good).is_ok(), "{good}");
    }
    for bad in ["", "a b", "http://x", &"a".repeat(254)] {
        assert!(Host::parse(bad).is_err(), "{bad}");
    }
    assert!(Rack::parse("Zone ä").is_ok());
    assert!(Rack::parse("").is_err() && Rack::parse("a\tb").is_err());
    assert!(IdempotencyKey::parse("7f-00:A").is_ok());
    assert!(IdempotencyKey::parse("a b").is_err() && IdempotencyKey::parse("ä").is_err());
}

#[test]
fn every_default_is_a_valid_value_and_the_table_is_sorted() {
    for spec in TOPIC_CONFIGS {
        assert!(
            TopicConfigs::parse([(spec.name, spec.default)]).is_ok(),
            "{spec:?}"
        );
        assert_eq!(ConfigSpec::find(spec.field), Some(spec));
    }
    assert!(TOPIC_CONFIGS.is_sorted_by(|a, b| a.name < b.name));
}

#[test]
fn bad_settings_are_refused_with_field_value_and_rule() {
    let refused = [
        ("retentionMs", "-2", "-1 to"),
        ("retention.ms", "9223372036854775808", "-1 to"),
        ("segment.bytes", "1.5", "14 to"),
        ("segmentBytes", "13", "14 to"),
        ("min.insync.replicas", "0", "1 to"),
        ("compression.type", "zip", "one of none"),
        ("unclean.leader.election.enable", "TRUE", "true or false"),
        ("no.such.setting", "x", "retention.ms"),
    ];
    for (name, value, rule) in refused {
        let rejection = TopicConfigs::parse([("retention.bytes", "1"), (name, value)]).unwrap_err();
        assert_eq!(rejection.code, InvalidConfig);
        assert!(
            rejection.message.contains(name) && rejection.message.contains(rule),
            "{rejection}"
        );
    }
}

#[test]
fn a_message_neither_repeats_endless_values_nor_control_characters() {
    let rejection = TopicName::parse(&"\x1b".repeat(1 << 20)).unwrap_err();
    assert!(
        rejection
            .message
            .starts_with("topicName is '\\u{1b}\\u{1b}"),
        "{rejection}"
    );
    assert!(rejection.message.contains("...'") && rejection.message.len() < 3_000);
}
