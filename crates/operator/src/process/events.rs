//! Events on the objects, for `kubectl describe`.

use dmq_crd::DmqMetadataCluster;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::core::ObjectMeta;
use kube::core::error_boundary::InvalidObject;
use kube::runtime::events::{Event, EventType};
use kube::{Resource, ResourceExt};

use crate::context::Context;
use crate::error::{Error, kubernetes};
use crate::report::EventNote;

/// Longest note that Kubernetes takes, in bytes.
const NOTE_MAX: usize = 1024;
/// Longest action that Kubernetes takes, in bytes.
const ACTION_MAX: usize = 128;

/// Publishes what there is to tell. An Event that cannot be published is logged: nothing depends on it.
pub(super) async fn publish(context: &Context, cluster: &DmqMetadataCluster, notes: &[EventNote]) {
    for note in notes {
        let pod = note.pod.as_ref().map(|pod| ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: cluster.namespace(),
            name: Some(pod.clone()),
            ..ObjectReference::default()
        });
        let event = event(note.type_, &note.reason, &note.note, pod);
        send(context, &event, &cluster.object_ref(&())).await;
    }
}

/// Tells of a pass that failed for a reason that somebody may have to do something about.
pub(super) async fn failed(context: &Context, cluster: &DmqMetadataCluster, error: &Error) {
    if error.is_race() {
        return;
    }
    let event = event(
        EventType::Warning,
        "ReconcileFailed",
        &error.to_string(),
        None,
    );
    send(context, &event, &cluster.object_ref(&())).await;
}

/// Tells of an object that does not fit our types.
pub(super) async fn unreadable(context: &Context, invalid: &InvalidObject) {
    let note = format!("The object cannot be read: {}", invalid.error);
    let event = event(EventType::Warning, "InvalidSpec", &note, None);
    send(context, &event, &reference(&invalid.metadata)).await;
}

fn reference(meta: &ObjectMeta) -> ObjectReference {
    ObjectReference {
        api_version: Some(DmqMetadataCluster::api_version(&()).into_owned()),
        kind: Some(DmqMetadataCluster::kind(&()).into_owned()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        ..ObjectReference::default()
    }
}

/// The recorder counts Events of one action and reason as one and keeps the first note: so the note is the action.
fn event(type_: EventType, reason: &str, note: &str, secondary: Option<ObjectReference>) -> Event {
    Event {
        type_,
        reason: reason.to_owned(),
        note: Some(cut(note, NOTE_MAX)),
        action: cut(note, ACTION_MAX),
        secondary,
    }
}

async fn send(context: &Context, event: &Event, regarding: &ObjectReference) {
    if let Err(error) = context.recorder.publish(event, regarding).await {
        let (reason, note) = (event.reason.as_str(), event.note.as_deref());
        let error = kubernetes(&error);
        tracing::warn!(error, reason, note, "an Event cannot be published");
    }
}

/// At most this many bytes, never half a character.
fn cut(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    text[..end.unwrap_or(0)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn a_note_is_cut_between_characters() {
        assert_eq!(cut("short", 128), "short");
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut(&"x".repeat(2000), 1024).len(), 1024);
    }
}
