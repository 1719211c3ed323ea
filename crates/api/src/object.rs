//! Objects within a request, which may only be given as objects: serde would also take an array, for the
//! fields in their order.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Reads an optional list of objects; `null` is `None`.
pub(crate) fn optional_list<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = Option::<Vec<Object<T>>>::deserialize(deserializer)?;
    Ok(list.map(|list| list.into_iter().map(|object| object.0).collect()))
}

struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(access)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use crate::rest::quorum::InitializeRequest;

    const DIRECTORY: &str = "\"00000000-0000-4000-8000-000000000001\"";

    #[test]
    fn a_list_of_objects_is_read() {
        let body = format!(r#"{{"voters": [{{"id": 1, "directoryId": {DIRECTORY}}}]}}"#);
        let request: InitializeRequest = serde_json::from_str(&body).unwrap();
        let voters = request.voters.unwrap();
        assert_eq!(voters.iter().map(|voter| voter.id).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn an_array_in_the_place_of_an_object_is_refused() {
        let body = format!(r#"{{"voters": [[1, {DIRECTORY}]]}}"#);
        let error = serde_json::from_str::<InitializeRequest>(&body).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("invalid type: sequence, expected an object"),
            "{text}"
        );
    }

    #[test]
    fn null_is_absent() {
        let request: InitializeRequest = serde_json::from_str(r#"{"voters": null}"#).unwrap();
        assert_eq!(request.voters, None);
    }
}
