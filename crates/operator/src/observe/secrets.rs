//! The Secrets that a spec names: whether they are there and hold what they must.

use dmq_crd::DmqMetadataClusterSpec;
use k8s_openapi::api::core::v1::Secret;

/// A Secret that a spec names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Where the spec names it.
    pub field: &'static str,
    /// Its name.
    pub name: String,
    /// Keys that it must have.
    pub keys: &'static [&'static str],
}

/// What the spec names.
pub(super) fn wanted(spec: &DmqMetadataClusterSpec) -> Vec<Wanted> {
    let external = spec
        .store
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.external.as_ref());
    let Some(external) = external else {
        return Vec::new();
    };
    let credentials = Wanted {
        field: "spec.store.postgres.external.credentialsSecretRef",
        name: external.credentials_secret_ref.name.clone(),
        keys: &["username", "password"],
    };
    let authority = external.ca_secret_ref.as_ref().map(|reference| Wanted {
        field: "spec.store.postgres.external.caSecretRef",
        name: reference.name.clone(),
        keys: &["ca.crt"],
    });
    std::iter::once(credentials).chain(authority).collect()
}

/// What is wrong with it.
pub(super) fn complaint(wanted: &Wanted, found: Option<&Secret>) -> Option<String> {
    let Some(found) = found else {
        return Some(format!("Secret {} does not exist", wanted.name));
    };
    let holds = |key: &str| {
        found
            .data
            .as_ref()
            .and_then(|data| data.get(key))
            .is_some_and(|value| !value.0.is_empty())
    };
    let lacking: Vec<&str> = wanted
        .keys
        .iter()
        .copied()
        .filter(|key| !holds(key))
        .collect();
    (!lacking.is_empty()).then(|| {
        format!(
            "Secret {} has no value for {}",
            wanted.name,
            lacking.join(" and ")
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_an_external_database_needs_secrets() {
        assert!(wanted(&DmqMetadataClusterSpec::default()).is_empty());
        let spec: DmqMetadataClusterSpec = serde_json::from_value(json!({
            "store": {"postgres": {"external": {
                "host": "db", "credentialsSecretRef": {"name": "login"}, "caSecretRef": {"name": "ca"},
            }}},
        }))
        .unwrap();
        let names: Vec<String> = wanted(&spec)
            .into_iter()
            .map(|wanted| wanted.name)
            .collect();
        assert_eq!(names, ["login", "ca"]);
    }

    #[test]
    fn a_secret_must_be_there_and_complete() {
        let login = Wanted {
            field: "f",
            name: "login".to_owned(),
            keys: &["username", "password"],
        };
        assert_eq!(
            complaint(&login, None).unwrap(),
            "Secret login does not exist"
        );
        let half: Secret = serde_json::from_value(json!({"data": {"username": "YQ=="}})).unwrap();
        assert_eq!(
            complaint(&login, Some(&half)).unwrap(),
            "Secret login has no value for password"
        );
        let whole: Secret =
            serde_json::from_value(json!({"data": {"username": "YQ==", "password": "Yg=="}}))
                .unwrap();
        assert_eq!(complaint(&login, Some(&whole)), None);
    }
}
