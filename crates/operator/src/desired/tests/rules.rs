//! Rules that no golden file says aloud.

use dmq_crd::names::annotation;
use dmq_crd::{DmqMetadataCluster, PullPolicy, Retention};
use serde_json::{Value, json};

use super::super::{Desired, cluster_domain, cluster_id, image, rest_url};
use super::{cluster, settings};

fn template(cluster: &DmqMetadataCluster) -> Value {
    let settings = settings();
    let set = Desired::new(cluster, &settings, "dmq").stateful_set(3);
    json!(set.spec.unwrap().template)
}

fn hash(cluster: &DmqMetadataCluster) -> Value {
    template(cluster)["metadata"]["annotations"][annotation::CONFIG_HASH].clone()
}

fn changed(change: impl Fn(&mut DmqMetadataCluster)) -> DmqMetadataCluster {
    let mut changed = cluster("minimal");
    change(&mut changed);
    changed
}

#[test]
fn only_what_a_node_reads_at_its_start_changes_the_hash() {
    let before = hash(&cluster("minimal"));
    let log_level = changed(|cluster| {
        let level = ("log.level".to_owned(), "debug".to_owned());
        cluster.spec.config.extend([level]);
    });
    assert_ne!(hash(&log_level), before);
    let slower = changed(|cluster| cluster.spec.raft.election_timeout_ms = 5000);
    assert_ne!(hash(&slower), before);
    // The address book is read again while the node runs.
    let more = changed(|cluster| cluster.spec.replicas = 5);
    assert_eq!(hash(&more), before);
    let elsewhere = changed(|cluster| cluster.spec.cluster_domain = Some("example.com".to_owned()));
    assert_eq!(hash(&elsewhere), before);
}

#[test]
fn what_needs_no_restart_leaves_the_template_alone() {
    let before = template(&cluster("minimal"));
    let elsewhere = changed(|cluster| {
        let spec = &mut cluster.spec;
        spec.replicas = 5;
        spec.suspend = true;
        spec.update_strategy.min_ready_seconds = 60;
        spec.pod_disruption_budget.enabled = false;
        spec.network_policy.enabled = false;
        spec.service.type_ = dmq_crd::ServiceType::NodePort;
        spec.storage.retention_policy.when_deleted = Retention::Delete;
    });
    assert_eq!(template(&elsewhere), before);
}

#[test]
fn asking_for_a_restart_changes_the_template_and_kubectls_own_annotation_is_never_ours() {
    let asked = |key: &str, value: &str| {
        changed(|cluster| {
            let annotation = (key.to_owned(), value.to_owned());
            cluster.metadata.annotations = Some([annotation].into());
        })
    };
    let before = template(&cluster("minimal"));
    let first = template(&asked(annotation::RESTARTED_AT, "1"));
    assert_ne!(first, before);
    assert_ne!(template(&asked(annotation::RESTARTED_AT, "2")), first);
    assert_eq!(template(&asked("example.com/note", "1")), before);

    let kubectls = "kubectl.kubernetes.io/restartedAt";
    let smuggled = changed(|cluster| {
        let annotation = (kubectls.to_owned(), "1".to_owned());
        cluster.spec.pod.annotations.extend([annotation]);
    });
    assert_eq!(template(&smuggled), before);
}

#[test]
fn labels_and_variables_of_the_operator_cannot_be_replaced() {
    let cluster = changed(|cluster| {
        let instance = "app.kubernetes.io/instance".to_owned();
        cluster
            .spec
            .pod
            .labels
            .extend([(instance, "other".to_owned())]);
        let index = json!({ "name": "DMQ_KRAFT_POD_INDEX", "value": "9" });
        cluster.spec.pod.env = vec![serde_json::from_value(index).unwrap()];
    });
    assert_eq!(template(&cluster), template(&super::cluster("minimal")));
}

#[test]
fn a_digest_goes_before_a_tag_and_a_tag_before_the_version() {
    let settings = settings();
    let mut cluster = cluster("minimal");
    let repository = "ghcr.io/dmq-io/dmq-metadata";
    assert_eq!(image(&cluster, &settings), format!("{repository}:0.1.0"));
    cluster.spec.version = Some("0.1.1".to_owned());
    assert_eq!(image(&cluster, &settings), format!("{repository}:0.1.1"));
    cluster.spec.image.tag = Some("nightly".to_owned());
    assert_eq!(image(&cluster, &settings), format!("{repository}:nightly"));
    cluster.spec.image.digest = Some("sha256:00".to_owned());
    assert_eq!(
        image(&cluster, &settings),
        format!("{repository}@sha256:00")
    );
    cluster.spec.image.repository = Some("example.com/dmq".to_owned());
    assert_eq!(image(&cluster, &settings), "example.com/dmq@sha256:00");
}

#[test]
fn a_cluster_id_is_made_of_the_uid_unless_the_spec_names_one() {
    let mut cluster = cluster("minimal");
    // RFC 4648 by hand: 6f1c2b 349f0e 4a578d 210c4b e5a7f9 10
    assert_eq!(cluster_id(&cluster), "bxwrNJ8OSleNIQxL5af5EA");
    cluster.metadata.uid = Some("ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned());
    assert_eq!(cluster_id(&cluster), "_____________________w");
    cluster.spec.cluster_id = Some("orders".to_owned());
    assert_eq!(cluster_id(&cluster), "orders");
}

#[test]
fn addresses_follow_the_domain_of_the_kubernetes_cluster() {
    let mut settings = settings();
    let cluster = cluster("minimal");
    let first = "http://meta-0.meta-raft.queue.svc.cluster.local:8080";
    assert_eq!(rest_url(&cluster, &settings, 0), first);
    settings.cluster_domain = "example.com".to_owned();
    assert_eq!(cluster_domain(&cluster, &settings), "example.com");
    let own = changed(|cluster| cluster.spec.cluster_domain = Some("k8s.local".to_owned()));
    assert_eq!(cluster_domain(&own, &settings), "k8s.local");
}

#[test]
fn all_images_of_a_pod_are_pulled_by_one_rule() {
    let settings = settings();
    for (policy, word) in [
        (PullPolicy::Always, "Always"),
        (PullPolicy::IfNotPresent, "IfNotPresent"),
        (PullPolicy::Never, "Never"),
    ] {
        let cluster = changed(|cluster| cluster.spec.image.pull_policy = policy);
        let set = Desired::new(&cluster, &settings, "dmq").stateful_set(3);
        let pod = set.spec.unwrap().template.spec.unwrap();
        let containers = pod
            .containers
            .into_iter()
            .chain(pod.init_containers.unwrap());
        let said: Vec<_> = containers
            .map(|container| (container.name, container.image_pull_policy.unwrap()))
            .collect();
        let wanted = ["dmq-metadata", "format", "postgres"];
        assert_eq!(said, wanted.map(|name| (name.to_owned(), word.to_owned())));
    }
}

#[test]
fn what_is_switched_off_is_to_be_deleted_and_nothing_else() {
    let settings = settings();
    let absent = |cluster: &DmqMetadataCluster| -> Vec<String> {
        let absent = Desired::new(cluster, &settings, "dmq").absent();
        let shown = absent
            .iter()
            .map(|(kind, name)| format!("{}/{name}", kind.kind));
        shown.collect()
    };
    assert_eq!(absent(&cluster("minimal")), Vec::<String>::new());
    let single = [
        "PodDisruptionBudget/meta",
        "NetworkPolicy/meta-peers",
        "NetworkPolicy/meta-clients",
    ];
    assert_eq!(absent(&cluster("single")), single);
    for case in super::CASES {
        let cluster = cluster(case);
        let children = Desired::new(&cluster, &settings, "dmq").children();
        let made: Vec<String> = children
            .iter()
            .map(|child| format!("{}/{}", child.resource.kind, child.name))
            .collect();
        let gone = absent(&cluster);
        assert!(gone.iter().all(|gone| !made.contains(gone)), "{case}");
        assert_eq!(
            made.len() + gone.len(),
            8,
            "{case}: every kind is here or there"
        );
    }
}

#[test]
fn existing_claim_templates_keep_their_sizes() {
    let settings = settings();
    let mut cluster = cluster("minimal");
    cluster.spec.storage.size = "20Gi".to_owned();
    let desired = Desired::new(&cluster, &settings, "dmq");
    let sizes = [("log".to_owned(), "10Gi".to_owned())].into();
    let set = desired.stateful_set_keeping(3, &sizes);
    let templates = json!(set.spec.unwrap().volume_claim_templates);
    let size = |place: usize| templates[place]["spec"]["resources"]["requests"]["storage"].clone();
    assert_eq!([size(0), size(1)], ["10Gi", "10Gi"]);
    let fresh = json!(desired.stateful_set(3));
    let fresh = &fresh["spec"]["volumeClaimTemplates"][0];
    assert_eq!(fresh["spec"]["resources"]["requests"]["storage"], "20Gi");
}

#[test]
fn an_external_server_has_no_volume_and_its_password_is_in_no_config_map() {
    let settings = settings();
    let cluster = cluster("external-postgres");
    let desired = Desired::new(&cluster, &settings, "dmq");
    let set = json!(desired.stateful_set(3));
    let templates = set["spec"]["volumeClaimTemplates"].as_array().unwrap();
    assert_eq!(templates.len(), 1, "{templates:?}");
    let init = &set["spec"]["template"]["spec"]["initContainers"];
    assert_eq!(init.as_array().unwrap().len(), 1, "{init}");
    let file = json!(desired.config_map()).to_string();
    let url = "postgres://db.example.com:5432/dmq_queue_meta_{id}?sslmode=verify-full&sslrootcert=/etc/dmq-store-ca/ca.crt";
    assert!(file.contains(url), "{file}");
}

#[test]
fn an_ipv6_server_is_bracketed() {
    let settings = settings();
    let mut cluster = cluster("external-postgres");
    let postgres = cluster.spec.store.postgres.as_mut().unwrap();
    postgres.external.as_mut().unwrap().host = "2001:db8::7".to_owned();
    let desired = Desired::new(&cluster, &settings, "dmq");
    let file = json!(desired.config_map()).to_string();
    assert!(file.contains("postgres://[2001:db8::7]:5432/"), "{file}");
}

#[test]
fn a_file_with_a_cluster_id_that_looks_like_something_else_is_still_read_as_text() {
    let settings = settings();
    let cluster = cluster("minimal");
    for id in [
        "0123", "null", "true", "1e5", "-", "0x1F", "~", "yes", "12345",
    ] {
        let desired = Desired::new(&cluster, &settings, id);
        let file = desired.config_map().data.unwrap()["node.yaml"].clone();
        let read: Value = serde_yaml::from_str(&file).unwrap();
        assert_eq!(read["dmq"]["kraft"]["cluster"]["id"], id, "{file}");
    }
}
