//! What was applied last, so that a pass that changes nothing writes nothing: an event of a node must not wait for ten
//! applies of what is there already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::key::Key;
use crate::observe::Fingerprint;

/// After this time a child is applied again although nothing speaks for it.
const REFRESH: Duration = Duration::from_mins(10);

/// Memory of what was applied; empty at the start of the process.
#[derive(Debug, Default)]
pub struct Applied(Mutex<HashMap<Key, HashMap<ChildKey, Entry>>>);

type ChildKey = (String, String);

#[derive(Debug)]
struct Entry {
    document: String,
    live: Fingerprint,
    at: Instant,
}

impl Applied {
    /// Whether this document was applied to the child that lives, and neither has changed since.
    pub fn is_current(
        &self,
        key: &Key,
        kind: &str,
        name: &str,
        document: &Value,
        live: Option<&Fingerprint>,
    ) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let child = (kind.to_owned(), name.to_owned());
        let Some(entry) = all.get(key).and_then(|own| own.get(&child)) else {
            return false;
        };
        entry.at.elapsed() < REFRESH
            && live == Some(&entry.live)
            && entry.document == digest(document)
    }

    /// Notes what was applied, and how the child is afterwards.
    pub fn note(&self, key: &Key, kind: &str, name: &str, document: &Value, live: Fingerprint) {
        let entry = Entry {
            document: digest(document),
            live,
            at: Instant::now(),
        };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(key.clone()).or_default();
        own.insert((kind.to_owned(), name.to_owned()), entry);
    }

    /// Forgets an object that is gone.
    pub fn forget(&self, key: &Key) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(key);
    }
}

/// SHA-256 of a document, as hexadecimal digits. Its keys are sorted, so equal documents have equal digests.
pub fn digest(document: &Value) -> String {
    use std::fmt::Write as _;
    let hash = Sha256::digest(document.to_string().as_bytes());
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::json;

    use super::*;

    fn key() -> Key {
        Key {
            namespace: "n".to_owned(),
            name: "meta".to_owned(),
        }
    }

    fn live(version: &str) -> Fingerprint {
        Fingerprint::of(&ObjectMeta {
            resource_version: Some(version.to_owned()),
            ..ObjectMeta::default()
        })
    }

    #[test]
    fn only_what_was_applied_and_not_touched_since_is_current() {
        let applied = Applied::default();
        let document = json!({"a": 1});
        let current = |document: &Value, version: &str| {
            applied.is_current(&key(), "Service", "meta", document, Some(&live(version)))
        };
        assert!(!current(&document, "1"));
        applied.note(&key(), "Service", "meta", &document, live("1"));
        assert!(current(&document, "1"));
        assert!(!current(&document, "2"), "somebody changed the child");
        assert!(!current(&json!({"a": 2}), "1"), "the spec changed");
        assert!(
            !applied.is_current(&key(), "Service", "meta", &document, None),
            "it is gone"
        );
        assert!(!applied.is_current(&key(), "Service", "meta-raft", &document, Some(&live("1"))));
        applied.forget(&key());
        assert!(!current(&document, "1"));
    }
}
