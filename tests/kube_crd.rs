//! The resource definition on a real API server: what is let in, what is refused with which sentence, what is stored, and what
//! `kubectl` shows of it.
//!
//! Objects that are stored are suspended: an operator that happens to run leaves them alone.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use dmq_crd::definition::definition;
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterSpec, names};
use dmq_testkit::kube::{Namespace, apply, apply_refused, kubectl, kubectl_refused, until};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::Status;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

/// A rule with objects that keep and break it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    at: String,
    says: String,
    old: Option<Value>,
    bad: Vec<Value>,
    good: Vec<Value>,
}

fn cases() -> anyhow::Result<Vec<Case>> {
    let table = include_str!("../crates/crd/testdata/rules.yaml");
    serde_yaml::from_str(table).map_err(|error| anyhow::anyhow!("{error}"))
}

/// An API server with our definition, and a namespace of our own on it.
struct Place {
    namespace: Namespace,
    client: Client,
    objects: Api<DynamicObject>,
    typed: Api<DmqMetadataCluster>,
}

impl Place {
    async fn new() -> anyhow::Result<Self> {
        let client = Client::try_default().await?;
        install(&client).await?;
        let namespace = Namespace::new("kube-crd")?;
        let resource = ApiResource::erase::<DmqMetadataCluster>(&());
        Ok(Self {
            objects: Api::namespaced_with(client.clone(), namespace.name(), &resource),
            typed: Api::namespaced(client.clone(), namespace.name()),
            client,
            namespace,
        })
    }

    fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        kubectl(&[&["-n", self.namespace.name()], arguments].concat())
    }

    fn refused(&self, arguments: &[&str]) -> anyhow::Result<String> {
        kubectl_refused(&[&["-n", self.namespace.name()], arguments].concat())
    }

    /// Creates an object, or, on trial, only asks whether it would be let in.
    async fn create(&self, object: &Value, trial: bool) -> anyhow::Result<DynamicObject> {
        let parameters = PostParams {
            dry_run: trial,
            ..PostParams::default()
        };
        let object = serde_json::from_value(object.clone())?;
        Ok(self.objects.create(&parameters, &object).await?)
    }

    /// Asks whether this spec would be let in as the next of a stored object.
    async fn replace_on_trial(
        &self,
        stored: &DynamicObject,
        object: &Value,
    ) -> kube::Result<DynamicObject> {
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let mut next = stored.clone();
        next.data = json!({"spec": object["spec"]});
        // The operator, if there is one, may have written since: a conflict of versions is not what is asked for.
        next.metadata.resource_version = None;
        let name = stored.metadata.name.as_deref().unwrap_or_default();
        let current = self.objects.get_metadata(name).await?;
        next.metadata.resource_version = current.metadata.resource_version;
        self.objects.replace(name, &parameters, &next).await
    }

    async fn apply_as(
        &self,
        manager: &str,
        name: &str,
        spec: Value,
        force: bool,
    ) -> kube::Result<DynamicObject> {
        let mut parameters = PatchParams::apply(manager);
        parameters.force = force;
        let body = json!({
            "apiVersion": "dmq.io/v1alpha1",
            "kind": "DmqMetadataCluster",
            "metadata": {"name": name},
            "spec": spec,
        });
        self.objects
            .patch(name, &parameters, &Patch::Apply(&body))
            .await
    }
}

/// Other suites install it by Helm, so it is shared, never deleted, and written only if it is not there or not this one.
async fn install(client: &Client) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let wanted = definition();
    let name = wanted.metadata.name.clone().context("no name")?;
    let present = definitions.get_opt(&name).await?;
    let on_trial = PatchParams {
        dry_run: true,
        ..PatchParams::apply("dmq-tests").force()
    };
    let same = match &present {
        None => false,
        Some(present) => {
            let would_be = definitions
                .patch(&name, &on_trial, &Patch::Apply(&wanted))
                .await?;
            would_be.spec == present.spec
        }
    };
    if !same {
        let parameters = PatchParams::apply("dmq-tests").force();
        definitions
            .patch(&name, &parameters, &Patch::Apply(&wanted))
            .await?;
    }
    until("the definition is established", || {
        kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=1s",
            &format!("crd/{name}"),
        ])?;
        kubectl(&["get", "dmqmc", "--all-namespaces"]).map(Some)
    })?;
    Ok(())
}

/// The whole object for a spec of the table, in which `name` is the object's.
fn object(spec: &Value, name: &str) -> Value {
    let mut spec = spec.clone();
    let own = spec.as_object_mut().and_then(|spec| spec.remove("name"));
    json!({
        "apiVersion": "dmq.io/v1alpha1",
        "kind": "DmqMetadataCluster",
        "metadata": {"name": own.unwrap_or_else(|| json!(name))},
        "spec": spec,
    })
}

fn suspended(spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("suspend".to_owned(), json!(true));
    }
    spec
}

/// Why the API server refused something: the fields, each with its sentence.
fn causes(error: &kube::Error) -> Vec<(String, String)> {
    let kube::Error::Api(status) = error else {
        return vec![(String::new(), error.to_string())];
    };
    let details = status.details.iter().flat_map(|details| &details.causes);
    details
        .map(|cause| (cause.field.replace("<nil>", ""), cause.message.clone()))
        .collect()
}

/// The answer of the API server to a write that it must refuse.
fn refusal<T>(result: kube::Result<T>) -> anyhow::Result<Box<Status>> {
    match result {
        Ok(_) => bail!("it was let in"),
        Err(kube::Error::Api(status)) => Ok(status),
        Err(other) => Err(other.into()),
    }
}

#[tokio::test]
async fn the_definition_is_accepted_without_complaint() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(place.client.clone());
    let installed = definitions.get("dmqmetadataclusters.dmq.io").await?;
    let conditions = installed
        .status
        .and_then(|status| status.conditions)
        .unwrap_or_default();
    let conditions: BTreeMap<_, _> = conditions
        .iter()
        .map(|condition| (condition.type_.as_str(), condition.status.as_str()))
        .collect();
    assert_eq!(
        conditions.get("Established"),
        Some(&"True"),
        "{conditions:?}"
    );
    assert_eq!(
        conditions.get("NamesAccepted"),
        Some(&"True"),
        "{conditions:?}"
    );
    assert_eq!(
        conditions.get("NonStructuralSchema"),
        None,
        "{conditions:?}"
    );
    // `kubectl apply` of the committed file, on trial: no warning about formats, and small enough for its annotation.
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../manifests/crds/dmqmetadataclusters.yaml"
    );
    for how in [&["--server-side", "--force-conflicts"][..], &[]] {
        let arguments = [
            &[
                "apply",
                "--dry-run=server",
                "--warnings-as-errors",
                "-f",
                file,
            ],
            how,
        ]
        .concat();
        kubectl(&arguments)?;
    }
    Ok(())
}

#[tokio::test]
async fn every_rule_refuses_with_its_sentence_and_lets_the_rest_in() -> anyhow::Result<()> {
    let place = Place::new().await?;
    for (number, case) in cases()?.into_iter().enumerate() {
        let name = format!("case-{number}");
        let stored = match &case.old {
            None => None,
            Some(old) => Some(place.create(&object(&suspended(old), &name), false).await?),
        };
        let attempt = async |spec: &Value| match &stored {
            None => place.create(&object(spec, &name), true).await,
            Some(stored) => Ok(place.replace_on_trial(stored, &object(spec, &name)).await?),
        };
        for spec in &case.bad {
            let told = match attempt(spec).await {
                Ok(_) => Vec::new(),
                Err(error) => causes(error.downcast_ref().context("not from kube")?),
            };
            let hit = told
                .iter()
                .any(|(field, message)| *field == case.at && message.ends_with(&case.says));
            assert!(
                hit,
                "{spec} is to say at {}: {}\n{told:#?}",
                case.at, case.says
            );
        }
        for spec in &case.good {
            attempt(spec)
                .await
                .with_context(|| format!("{spec} is to be let in"))?;
        }
    }
    Ok(())
}

/// Name and spec of objects with a mistake, and what `kubectl apply` says of it: the schema's own limits, beside the rules.
const MISTAKES: &[(&str, &str, &[&str])] = &[
    (
        "even",
        "replicas: 4",
        &["spec.replicas", "replicas must be 1, 3, 5 or 7"],
    ),
    (
        "many",
        "replicas: 9",
        &["spec.replicas", "less than or equal to 7"],
    ),
    (
        "a-name-of-sixty-characters-is-too-long-for-what-is-made-of-it",
        "replicas: 3",
        &["metadata.name must not be longer than 40 characters"],
    ),
    ("typo", "replica: 3", &["unknown field \"spec.replica\""]),
    (
        "text",
        "replicas: three",
        &["spec.replicas", "must be of type integer"],
    ),
    (
        "number",
        "storage: {size: 10}",
        &["spec.storage.size", "must be of type string"],
    ),
    (
        "nothing",
        "store: {sqlite: }",
        &["spec.store", "write `sqlite: {}`"],
    ),
    (
        "fast",
        "raft: {heartbeatIntervalMs: 5}",
        &[
            "spec.raft.heartbeatIntervalMs",
            "greater than or equal to 10",
        ],
    ),
    (
        "kill",
        "pod: {terminationGracePeriodSeconds: 1}",
        &[
            "spec.pod.terminationGracePeriodSeconds",
            "greater than or equal to 10",
        ],
    ),
    (
        "cpu",
        "pod: {resources: {limits: {cpu: much}}}",
        &["spec.pod.resources.limits.cpu"],
    ),
    (
        "device",
        "pod: {resources: {claims: [{name: gpu}]}}",
        &["unknown field \"spec.pod.resources.claims\""],
    ),
    (
        "twice",
        "pod: {env: [{name: A}, {name: A}]}",
        &["spec.pod.env[1]", "Duplicate value"],
    ),
    (
        "secret",
        "store: {postgres: {external: {host: db}}}",
        &[
            "spec.store.postgres.external.credentialsSecretRef",
            "Required value",
        ],
    ),
    (
        "port",
        "store: {postgres: {external: {host: db, credentialsSecretRef: {name: db}, port: 0}}}",
        &[
            "spec.store.postgres.external.port",
            "greater than or equal to 1",
        ],
    ),
    (
        "mode",
        "image: {pullPolicy: Sometimes}",
        &[
            "spec.image.pullPolicy",
            "Unsupported value",
            "\"IfNotPresent\"",
        ],
    ),
];

#[tokio::test]
async fn mistakes_are_told_in_words() -> anyhow::Result<()> {
    let place = Place::new().await?;
    for (name, spec, sentences) in MISTAKES {
        let yaml = format!(
            "apiVersion: dmq.io/v1alpha1\nkind: DmqMetadataCluster\nmetadata: {{name: {name}}}\nspec:\n  {spec}\n"
        );
        let complaint = apply_refused(place.namespace.name(), &yaml)?;
        for sentence in *sentences {
            assert!(
                complaint.contains(sentence),
                "{spec}: {sentence}\n{complaint}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn defaults_are_stored_and_shown() -> anyhow::Result<()> {
    let place = Place::new().await?;
    for (name, spec) in [
        ("bare", json!(null)),
        ("empty", json!({})),
        (
            "null",
            json!({"raft": null, "store": null, "clusterId": null}),
        ),
    ] {
        let mut whole = object(&spec, name);
        if spec.is_null() {
            whole.as_object_mut().context("no object")?.remove("spec");
        }
        let made = place.create(&whole, true).await?;
        let made: DmqMetadataCluster = serde_json::from_value(serde_json::to_value(made)?)?;
        assert_eq!(made.spec, DmqMetadataClusterSpec::default(), "{name}");
    }
    let sqlite = place
        .create(&object(&json!({"store": {"sqlite": {}}}), "lite"), true)
        .await?;
    assert_eq!(
        sqlite.data["spec"]["store"],
        json!({"sqlite": {"storage": {"size": "10Gi"}}})
    );
    let external = json!({"store": {"postgres": {"external": {"host": "db", "credentialsSecretRef": {"name": "db"}}}}});
    let external = place.create(&object(&external, "external"), true).await?;
    let kept = &external.data["spec"]["store"]["postgres"]["external"];
    assert_eq!(kept["port"], json!(5432));
    assert_eq!(kept["sslMode"], json!("require"));
    assert_eq!(kept["databaseTemplate"], json!("dmq_{id}"));
    // The documentation of a kind appears a moment after the kind.
    for (field, sentence) in [
        (
            "dmqmc.spec.raft.electionTimeoutMs",
            "times heartbeatIntervalMs",
        ),
        ("dmqmc.spec.store", "exactly one of"),
    ] {
        until("kubectl explains the field", || {
            let explained = kubectl(&["explain", field])?;
            Ok(explained.contains(sentence).then_some(()))
        })?;
    }
    Ok(())
}

#[tokio::test]
async fn every_object_has_conditions_from_its_first_moment() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let spec = json!({"suspend": true});
    let made = place.create(&object(&spec, "meta"), false).await?;
    // Also one whose status somebody emptied.
    let nothing = Patch::Merge(json!({"status": null}));
    let emptied = place
        .objects
        .patch_status("meta", &PatchParams::default(), &nothing)
        .await?;
    for object in [made, emptied] {
        let object: DmqMetadataCluster = serde_json::from_value(serde_json::to_value(object)?)?;
        let status = object.status.context("no status")?;
        assert_eq!((status.replicas, status.ready_replicas), (0, 0));
        assert_eq!(serde_json::to_value(status.phase)?, json!("Pending"));
        let seen: Vec<[&str; 4]> = status
            .conditions
            .iter()
            .map(|it| [&*it.type_, &*it.status, &*it.reason, &*it.message])
            .collect();
        let pending = ["Ready", "Unknown", "Pending", "waiting for the operator"];
        assert_eq!(seen, [pending]);
    }
    Ok(())
}

/// The status that the next test writes: what an operator would say of a healthy quorum.
fn healthy() -> Value {
    json!({
        "observedGeneration": 1, "phase": "Running", "clusterId": "shop", "term": 12,
        "leader": {"id": 2, "podName": "meta-1", "endpoint": "http://meta-1.meta-raft:8080", "since": "2026-11-23T08:00:00Z"},
        "voters": 3, "failuresTolerated": 1, "replicas": 3, "readyReplicas": 3, "updatedReplicas": 3,
        "version": "0.1.0", "selector": "app.kubernetes.io/instance=meta",
        "operation": {"type": "Restart", "podName": "meta-0", "podUid": "u", "reason": "new image", "startedAt": "2026-11-23T08:00:00Z"},
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AsExpected", "message": "all 3 members are Ready", "lastTransitionTime": "2026-11-23T08:00:00Z"},
        ],
    })
}

async fn write_status(place: &Place, name: &str, status: Value) -> kube::Result<DynamicObject> {
    let body = json!({"apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster", "metadata": {"name": name}, "status": status});
    let parameters = PatchParams::apply(names::STATUS_FIELD_MANAGER).force();
    place
        .objects
        .patch_status(name, &parameters, &Patch::Apply(&body))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_get_prints_the_columns() -> anyhow::Result<()> {
    let place = Place::new().await?;
    place
        .create(
            &object(&json!({"suspend": true, "store": {"sqlite": {}}}), "meta"),
            false,
        )
        .await?;
    let narrow = "NAME   REPLICAS   READY   LEADER   TERM   VERSION   STATUS    AGE";
    let wide = "VOTERS   TOLERATES   UPDATED   OPERATION   MESSAGE                   CLUSTERID";
    let mut seen = String::new();
    // An operator that happens to run may write between our write and the look: then it is done again.
    until("our status is shown", || {
        let runtime = tokio::runtime::Handle::current();
        tokio::task::block_in_place(|| runtime.block_on(write_status(&place, "meta", healthy())))?;
        seen = place.kubectl(&["get", "dmqmc"])?;
        let row = seen.lines().nth(1).unwrap_or_default();
        let fields: Vec<&str> = row.split_whitespace().take(7).collect();
        Ok((fields == ["meta", "3", "3", "meta-1", "12", "0.1.0", "Running"]).then_some(()))
    })?;
    assert_eq!(seen.lines().next(), Some(narrow), "{seen}");
    let all = place.kubectl(&["get", "dmq", "-o", "wide"])?;
    let header = all.lines().next().unwrap_or_default();
    assert!(
        header.starts_with(narrow) && header.trim_end().ends_with(wide),
        "{all}"
    );
    assert!(
        all.contains("3        1           3         Restart     all 3 members are Ready   shop"),
        "{all}"
    );
    for resource in [
        "dmqmetadataclusters",
        "dmqmetadatacluster",
        "dmqmetadataclusters.dmq.io",
    ] {
        assert!(place.kubectl(&["get", resource])?.contains("meta-1"));
    }
    Ok(())
}

#[tokio::test]
async fn spec_and_status_are_written_apart() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let made = place
        .create(&object(&json!({"suspend": true}), "meta"), false)
        .await?;
    let generation = made.metadata.generation;
    // A status on the object itself is dropped ...
    let user = place
        .objects
        .patch(
            "meta",
            &PatchParams::default(),
            &Patch::Merge(json!({"spec": {"version": "0.1.0"}, "status": {"term": 99}})),
        )
        .await?;
    assert_ne!(user.data["status"]["term"], json!(99));
    assert_eq!(
        user.metadata.generation,
        generation.map(|generation| generation + 1)
    );
    // ... and a spec on the status too, which does not count as a new generation.
    let body = json!({"spec": {"replicas": 5}, "status": {"term": 7}});
    let operator = place
        .objects
        .patch_status("meta", &PatchParams::default(), &Patch::Merge(body))
        .await?;
    assert_eq!(operator.data["spec"]["replicas"], json!(3));
    assert_eq!(operator.data["status"]["term"], json!(7));
    assert_eq!(operator.metadata.generation, user.metadata.generation);
    // What is stored can be read by the types, also with everything in it.
    write_status(&place, "meta", healthy()).await?;
    let typed = place.typed.get("meta").await?;
    assert_eq!(typed.instance(), "meta");
    assert_eq!(typed.in_namespace(), place.namespace.name());
    Ok(())
}

#[tokio::test]
async fn two_managers_meet_in_a_conflict_that_names_both() -> anyhow::Result<()> {
    let place = Place::new().await?;
    let slow = json!({"suspend": true, "raft": {"electionTimeoutMs": 2000}});
    place.apply_as("alice", "meta", slow.clone(), false).await?;
    // Fields of its own do not touch hers, a list item neither.
    let own = json!({"version": "0.1.0", "pod": {"env": [{"name": "B", "value": "bob"}], "labels": {"b": "bob"}}});
    place.apply_as("bob", "meta", own, false).await?;
    let mut slow_with_env = slow.clone();
    slow_with_env["pod"] =
        json!({"env": [{"name": "A", "value": "alice"}], "labels": {"a": "alice"}});
    let both = place
        .apply_as("alice", "meta", slow_with_env, false)
        .await?;
    assert_eq!(
        both.data["spec"]["pod"]["env"].as_array().map(Vec::len),
        Some(2)
    );
    assert_eq!(
        both.data["spec"]["pod"]["labels"],
        json!({"a": "alice", "b": "bob"})
    );
    // The same field does.
    let fast = json!({"raft": {"electionTimeoutMs": 3000}});
    let conflict = refusal(place.apply_as("bob", "meta", fast.clone(), false).await)?;
    assert_eq!(conflict.code, 409);
    assert!(conflict.message.contains("alice"), "{conflict:?}");
    assert!(
        conflict.message.contains(".spec.raft.electionTimeoutMs"),
        "{conflict:?}"
    );
    // By force it is his, and then hers is the conflict.
    let forced = place.apply_as("bob", "meta", fast, true).await?;
    assert_eq!(
        forced.data["spec"]["raft"]["electionTimeoutMs"],
        json!(3000)
    );
    let conflict = refusal(place.apply_as("alice", "meta", slow, false).await)?;
    assert!(conflict.message.contains("bob"), "{conflict:?}");
    Ok(())
}

/// The operator writes the status under a name of its own: nobody's spec ever conflicts with it.
#[tokio::test]
async fn the_operators_writes_do_not_conflict_with_users() -> anyhow::Result<()> {
    let place = Place::new().await?;
    place
        .apply_as("alice", "meta", json!({"suspend": true}), false)
        .await?;
    write_status(&place, "meta", healthy()).await?;
    place
        .apply_as(
            "alice",
            "meta",
            json!({"suspend": true, "version": "0.1.0"}),
            false,
        )
        .await?;
    // Another one's condition stays beside the operator's: the list is merged by type.
    let theirs = json!({"apiVersion": "dmq.io/v1alpha1", "kind": "DmqMetadataCluster", "metadata": {"name": "meta"}, "status": {"conditions": [
        {"type": "Audited", "status": "True", "reason": "Done", "message": "", "lastTransitionTime": "2026-11-23T08:00:00Z"},
    ]}});
    place
        .objects
        .patch_status(
            "meta",
            &PatchParams::apply("auditor"),
            &Patch::Apply(&theirs),
        )
        .await?;
    let after = write_status(&place, "meta", healthy()).await?;
    let types: Vec<&str> = after.data["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|condition| condition["type"].as_str())
        .collect();
    assert!(
        types.contains(&"Audited") && types.contains(&"Ready"),
        "{types:?}"
    );
    // The same patch again changes nothing, not even the version.
    let again = write_status(&place, "meta", healthy()).await?;
    assert_eq!(again.data["status"], after.data["status"]);
    Ok(())
}

#[tokio::test]
async fn kubectl_scale_writes_replicas_under_the_same_rules() -> anyhow::Result<()> {
    let place = Place::new().await?;
    apply(
        place.namespace.name(),
        "{apiVersion: dmq.io/v1alpha1, kind: DmqMetadataCluster, metadata: {name: meta}, spec: {suspend: true}}",
    )?;
    write_status(&place, "meta", healthy()).await?;
    let scale = place.typed.get_scale("meta").await?;
    assert_eq!(scale.spec.and_then(|spec| spec.replicas), Some(3));
    place.kubectl(&["scale", "dmqmc/meta", "--replicas=5"])?;
    assert_eq!(place.typed.get("meta").await?.spec.replicas, 5);
    let complaint = place.refused(&["scale", "dmqmc/meta", "--replicas=4"])?;
    assert!(
        complaint.contains("replicas must be 1, 3, 5 or 7"),
        "{complaint}"
    );
    assert_eq!(place.typed.get("meta").await?.spec.replicas, 5);
    Ok(())
}
