//! When a holder must stop to act.

use serde_json::{Value, json};

use super::*;
use crate::fixture::Api;

/// Long enough for a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Kubernetes with a Lease that this one holds, and a watch that says nothing.
fn held_by(holder: &'static str) -> Api {
    Api::new(move |sent| {
        let items = if sent.query.contains("watch=true") {
            return (200, Value::String(String::new()));
        } else {
            json!([{
                "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "resourceVersion": "1"},
                "spec": {"holderIdentity": holder, "renewTime": "2026-11-23T07:00:00.000000Z"},
            }])
        };
        let list = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList", "metadata": {"resourceVersion": "1"}, "items": items,
        });
        (200, list)
    })
}

/// A Lease that is held, and the end that the manager holds.
fn lease(api: &Api) -> (Lease, watch::Sender<bool>) {
    let (manager, holds) = watch::channel(true);
    let (context, _triggers) = api.context();
    let lease = Lease {
        settings: Settings {
            name: "l".to_owned(),
            namespace: "n".to_owned(),
            identity: "me".to_owned(),
            duration: Duration::from_secs(3),
        },
        client: context.client,
        holds,
        renewing: tokio::spawn(std::future::pending()),
    };
    (lease, manager)
}

async fn lost(lease: &mut Lease) -> String {
    timeout(PATIENCE, lease.lost()).await.unwrap()
}

#[tokio::test]
async fn another_holder_ends_it() {
    let (mut lease, _manager) = lease(&held_by("you"));
    assert_eq!(lost(&mut lease).await, "it is held by 'you'");
}

#[tokio::test]
async fn a_renewal_that_is_not_seen_ends_it_before_another_one_may_begin() {
    let (mut lease, _manager) = lease(&held_by("me"));
    let began = Instant::now();
    assert_eq!(lost(&mut lease).await, "no renewal was seen for 2s");
    assert!(began.elapsed() >= Duration::from_secs(2));
}

#[tokio::test]
async fn a_manager_that_gives_up_ends_it() {
    for held in [Some(false), None] {
        let (mut lease, manager) = lease(&held_by("me"));
        match held {
            Some(held) => manager.send(held).unwrap(),
            None => drop(manager),
        }
        assert_eq!(lost(&mut lease).await, "the lease manager gave it up");
    }
}

#[test]
fn an_empty_holder_is_none() {
    let holder_of = |spec: Value| {
        let object: Object = serde_json::from_value(json!({"metadata": {}, "spec": spec})).unwrap();
        holder(&object).map(str::to_owned)
    };
    assert_eq!(holder_of(json!({})), None);
    assert_eq!(holder_of(json!({"holderIdentity": ""})), None);
    assert_eq!(
        holder_of(json!({"holderIdentity": "a"})).as_deref(),
        Some("a")
    );
}
