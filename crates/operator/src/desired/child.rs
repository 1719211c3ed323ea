//! One child, in the form in which it is applied.

use kube::core::ApiResource;
use serde::Serialize;
use serde_json::Value;

/// A complete document for server-side apply, and where it goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    /// Its kind.
    pub resource: ApiResource,
    /// `metadata.name`.
    pub name: String,
    /// The object with `apiVersion`, `kind` and `metadata`.
    pub body: Value,
}

impl Child {
    /// The document of a typed object.
    pub fn of<K>(object: &K) -> Self
    where
        K: kube::Resource<DynamicType = ()> + Serialize,
    {
        Self {
            resource: ApiResource::erase::<K>(&()),
            name: object.meta().name.clone().unwrap_or_default(),
            // Kubernetes types have text keys only, so they always have a JSON form.
            body: serde_json::to_value(object).unwrap_or_default(),
        }
    }
}
