//! Maps of a request in which a key given twice is an error, as it is for fields.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Reads an optional map; `null` is `None`.
pub(crate) fn optional<'de, D, V>(deserializer: D) -> Result<Option<BTreeMap<String, V>>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    Ok(Option::<Unique<V>>::deserialize(deserializer)?.map(|unique| unique.0))
}

struct Unique<V>(BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for UniqueVisitor<V> {
    type Value = Unique<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Unique<V>, A::Error> {
        let mut map = BTreeMap::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            map.insert(key, access.next_value()?);
        }
        Ok(Unique(map))
    }
}

#[cfg(test)]
mod tests {
    use crate::rest::topics::CreateTopicRequest;

    #[test]
    fn a_key_given_twice_is_refused() {
        let body = r#"{"configs": {"retention.ms": 1, "retention.ms": 2}}"#;
        let error = serde_json::from_str::<CreateTopicRequest>(body).unwrap_err();
        assert!(
            error.to_string().contains("duplicate field `retention.ms`"),
            "{error}"
        );
    }

    #[test]
    fn null_is_absent() {
        let request: CreateTopicRequest = serde_json::from_str(r#"{"configs": null}"#).unwrap();
        assert_eq!(request.configs, None);
    }
}
