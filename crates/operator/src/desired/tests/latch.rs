//! Create-only objects: written, read back, and never misread.

use std::collections::BTreeMap;
use std::sync::Arc;

use dmq_crd::Retention;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::super::{Desired, kept_settings, parse_identity, parse_voters};
use super::{cluster, settings};
use crate::observed::{Identity, Latch, Voter};
use crate::settings::Settings;

fn identity() -> Identity {
    Identity {
        cluster_id: "bxwrNJ8OSleNIQxL5af5EA".to_owned(),
        incarnation: "1".to_owned(),
        cluster_uid: "6f1c2b34-9f0e-4a57-8d21-0c4be5a7f910".to_owned(),
    }
}

fn voters() -> Vec<Voter> {
    let voter = |id: u32| Voter {
        id,
        directory_id: uuid::Uuid::from_u128(u128::from(id)),
    };
    [1, 2, 3].map(voter).to_vec()
}

#[test]
fn what_is_created_is_read_back_and_cannot_be_edited() {
    let (cluster, settings) = (cluster("minimal"), settings());
    let desired = Desired::new(&cluster, &settings, "dmq");
    let made = desired.identity_config_map(&identity());
    assert_eq!(made.metadata.name.as_deref(), Some("meta-identity-1"));
    assert_eq!(made.immutable, Some(true));
    assert_eq!(parse_identity(Some(&made)), Latch::Set(identity()));

    let made = desired.voters_config_map(&voters());
    assert_eq!(made.metadata.name.as_deref(), Some("meta-voters-1"));
    assert_eq!(made.immutable, Some(true));
    assert_eq!(parse_voters(Some(&made)), Latch::Set(voters()));
    let list = r#"[{"directoryId":"00000000-0000-0000-0000-000000000001","id":1}"#;
    let text = &made.data.unwrap()["voters.json"];
    let first: serde_json::Value = serde_json::from_str(&format!("{list}]")).unwrap();
    let read: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(read[0], first[0], "{text}");

    assert_eq!(parse_identity(None), Latch::Absent);
    assert_eq!(parse_voters(None), Latch::Absent);
}

#[test]
fn the_domain_that_a_quorum_was_made_with_stays() {
    let cluster = cluster("minimal");
    let born = Arc::new(settings());
    let identity = Desired::new(&cluster, &born, "dmq").identity_config_map(&identity());
    let elsewhere = Arc::new(Settings {
        cluster_domain: "typo.example".to_owned(),
        ..settings()
    });
    let kept = kept_settings(Some(&identity), &elsewhere);
    assert_eq!(kept, born);
    let file = |settings: &Settings| Desired::new(&cluster, settings, "dmq").config_map().data;
    assert_eq!(file(&kept), file(&born));
    assert_ne!(file(&elsewhere), file(&born));
    // Without an identity, or with one that says nothing usable, the operator's own counts.
    assert_eq!(kept_settings(None, &elsewhere), elsewhere);
    for nothing in ["", "no domain", ".example"] {
        let mut identity = identity.clone();
        let data = identity.data.as_mut().unwrap();
        data.insert("clusterDomain".to_owned(), nothing.to_owned());
        assert_eq!(kept_settings(Some(&identity), &elsewhere), elsewhere);
    }
    // What the object says goes before both.
    let mut own = cluster.clone();
    own.spec.cluster_domain = Some("k8s.local".to_owned());
    let made = Desired::new(&own, &born, "dmq").identity_config_map(&self::identity());
    assert_eq!(made.data.unwrap()["clusterDomain"], "k8s.local");
}

#[test]
fn what_cannot_be_understood_is_never_taken_for_absent() {
    let with = |data: &[(&str, &str)]| {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let data: BTreeMap<String, String> = data.iter().map(own).collect();
        ConfigMap {
            data: Some(data),
            ..ConfigMap::default()
        }
    };
    let unreadable = |config_map: &ConfigMap| match parse_identity(Some(config_map)) {
        Latch::Unreadable(reason) => reason,
        other => unreachable!("{other:?}"),
    };
    assert!(unreadable(&ConfigMap::default()).contains("clusterId"));
    assert!(unreadable(&with(&[("clusterId", "a"), ("incarnation", "1")])).contains("clusterUid"));
    let spaced = [
        ("clusterId", "a b"),
        ("incarnation", "1"),
        ("clusterUid", "u"),
    ];
    assert!(unreadable(&with(&spaced)).contains("'a b'"));

    let id = "00000000-0000-0000-0000-000000000001";
    for list in [
        String::new(),
        "[]".to_owned(),
        "{}".to_owned(),
        format!(r#"[{{"id":1,"directoryId":"{id}"}},{{"id":1,"directoryId":"{id}"}}]"#),
        format!(r#"[{{"id":0,"directoryId":"{id}"}}]"#),
        format!(r#"[{{"id":1,"directoryId":"{id}","weight":2}}]"#),
        r#"[{"id":1,"directoryId":"no uuid"}]"#.to_owned(),
    ] {
        let read = parse_voters(Some(&with(&[("voters.json", &list)])));
        assert!(matches!(read, Latch::Unreadable(_)), "'{list}': {read:?}");
    }
}

#[test]
fn knowledge_of_the_volumes_lives_as_long_as_they_do() {
    let settings = settings();
    let mut cluster = cluster("minimal");
    let kept = Desired::new(&cluster, &settings, "dmq");
    assert_eq!(
        kept.identity_config_map(&identity())
            .metadata
            .owner_references,
        None
    );
    assert_eq!(
        kept.voters_config_map(&voters()).metadata.owner_references,
        None
    );
    let nobody = json!({ "metadata": { "ownerReferences": null } });
    assert_eq!(kept.latch_owner_patch(), nobody);
    let policy = |desired: &Desired<'_>| {
        let set = desired.stateful_set(3).spec.unwrap();
        json!(set.persistent_volume_claim_retention_policy)
    };
    assert_eq!(
        policy(&kept),
        json!({ "whenDeleted": "Retain", "whenScaled": "Retain" })
    );

    cluster.spec.storage.retention_policy.when_deleted = Retention::Delete;
    let deleted = Desired::new(&cluster, &settings, "dmq");
    assert_eq!(
        policy(&deleted),
        json!({ "whenDeleted": "Delete", "whenScaled": "Retain" })
    );
    let owners = deleted
        .voters_config_map(&voters())
        .metadata
        .owner_references;
    let owner = &owners.as_ref().unwrap()[0];
    assert_eq!(Some(&owner.uid), cluster.metadata.uid.as_ref());
    assert_eq!(
        (owner.controller, owner.kind.as_str()),
        (Some(true), "DmqMetadataCluster")
    );
    let patch = json!({ "metadata": { "ownerReferences": owners } });
    assert_eq!(deleted.latch_owner_patch(), patch);
}

#[test]
fn the_token_is_a_file_of_its_own() {
    let (cluster, settings) = (cluster("minimal"), settings());
    let secret = Desired::new(&cluster, &settings, "dmq").token_secret("s3cret");
    assert_eq!(secret.metadata.name.as_deref(), Some("meta-operator-token"));
    assert_eq!(secret.data.unwrap()["token"].0, b"s3cret");
}
