//! How rules get into the schema: functions for `#[schemars(transform = ...)]`.
//!
//! The API server evaluates the rules (CEL) at every write, so a bad object is refused with our sentence and never stored.

use kube::core::{Message, Reason, Rule, validate};
use schemars::Schema;
use serde_json::{Value, json};

/// What a rule says when it is broken.
pub(crate) enum Says {
    /// "<field> is <value>, but must <this>"; for a rule about one text. (A number cannot be put into a sentence: the API server
    /// takes the length of what `string()` gives for unbounded, and the rule for too expensive.)
    Must(&'static str),
    /// The value breaks a rule.
    Invalid(&'static str),
    /// The value is fine, but may not become this one, or not together with others.
    Forbidden(&'static str),
    /// Something is missing.
    Required(&'static str),
}

impl Says {
    fn parts(self, field: &str) -> (Message, Reason) {
        match self {
            Self::Must(rule) => {
                let sentence = format!("\"{field} is '\" + self.{field} + \"', but must {rule}\"");
                (Message::Expression(sentence), Reason::FieldValueInvalid)
            }
            Self::Invalid(text) => (Message::from(text), Reason::FieldValueInvalid),
            Self::Forbidden(text) => (Message::from(text), Reason::FieldValueForbidden),
            Self::Required(text) => (Message::from(text), Reason::FieldValueRequired),
        }
    }
}

/// Adds a rule about a field of an object, or about the value itself (no field).
pub(crate) fn rule(schema: &mut Schema, field: &str, expression: impl Into<String>, says: Says) {
    let (message, reason) = says.parts(field);
    let mut rule = Rule::new(expression).message(message).reason(reason);
    if !field.is_empty() {
        rule = rule.field_path(format!(".{field}"));
    }
    // It fails only if a rule could not be written as JSON; a rule is a few strings.
    let written = validate(schema, rule);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Adds a rule that every key of a map must keep; `predicate` speaks of `key`.
///
/// The message cannot name the key that does not: the API server finds that expression too expensive.
pub(crate) fn key_rule(schema: &mut Schema, predicate: &str, says: Says) {
    rule(schema, "", format!("self.all(key, {predicate})"), says);
}

/// An optional field that keeps the value, or the absence, that the object was created with.
pub(crate) fn immutable_optional(schema: &mut Schema, field: &str, message: &'static str) {
    let expression = format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    );
    // The path is the object's: a field that was taken away has none.
    rule(schema, "", expression, Says::Forbidden(message));
}

/// A map of at most `ENTRIES` entries, each of at most `LENGTH` characters: what a rule may cost is bounded by it.
pub(crate) fn bounded_map<const ENTRIES: u32, const LENGTH: u32>(schema: &mut Schema) {
    schema.insert("maxProperties".to_owned(), ENTRIES.into());
    if let Some(Value::Object(values)) = schema.get_mut("additionalProperties") {
        values.insert("maxLength".to_owned(), LENGTH.into());
    }
}

/// Labels: the syntax that Kubernetes would refuse only when the pods are made.
pub(crate) fn label_syntax(schema: &mut Schema) {
    annotation_syntax(schema);
    key_rule(
        schema,
        "self[key].matches('^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$')",
        Says::Invalid(
            "the value must be at most 63 of A-Z a-z 0-9 - _ . and begin and end with a letter or digit",
        ),
    );
}

/// Annotations: as [`label_syntax`], for keys only.
pub(crate) fn annotation_syntax(schema: &mut Schema) {
    key_rule(
        schema,
        &format!("key.matches('{QUALIFIED_NAME}')"),
        Says::Invalid(
            "a key is a name of at most 63 of A-Z a-z 0-9 - _ . that begins and ends with a letter or digit, with an optional DNS domain and / in front",
        ),
    );
}

/// A key of labels and annotations.
const QUALIFIED_NAME: &str =
    "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// A list whose items are merged by these keys, so that two writers can each have items in it.
pub(crate) fn map_list(schema: &mut Schema, keys: &[&str]) {
    schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(keys));
}

/// A list without duplicates.
pub(crate) fn set_list(schema: &mut Schema) {
    schema.insert("x-kubernetes-list-type".to_owned(), json!("set"));
}
