//! Reading a JSON body strictly: the error names the field, its value and the rule.

use dmq_api::problem::Problem;
use dmq_api::status::Code;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use super::error::ApiError;

/// Deepest nesting of objects and arrays in a body. The deepest request has 3 levels.
const DEPTH_MAX: usize = 32;

/// Reads a value from a body.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    refuse_deep_nesting(body)?;
    refuse_arrays(body)?;
    serde_json::from_slice(body).map_err(|error| explain::<T>(body, &error))
}

/// Counts brackets outside of strings, so that no parser recurses on behalf of a stranger.
fn refuse_deep_nesting(body: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for &byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            let detail = format!("the body is nested deeper than {DEPTH_MAX} levels");
            return Err(ApiError::new(Code::MalformedJson, detail));
        }
    }
    Ok(())
}

/// Serde would take an array for the fields of an object in their order.
fn refuse_arrays(body: &[u8]) -> Result<(), ApiError> {
    match body.trim_ascii_start().first() {
        Some(b'[') => Err(of_field(
            Code::InvalidType,
            "body",
            "body is an array: expected an object",
        )),
        _ => Ok(()),
    }
}

fn of_field(code: Code, field: &str, detail: &str) -> ApiError {
    ApiError::from(Problem::new(code, detail).with_field(field))
}

/// Reads the body once more, now with an eye on the path; only errors pay for that.
fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    if error.classify() != Category::Data {
        return ApiError::new(
            Code::MalformedJson,
            format!("the body is not valid JSON: {error}"),
        );
    }
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let Err(located) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return ApiError::new(Code::MalformedJson, error.to_string());
    };
    let path = located.path().to_string();
    classify(&path, &message_of(located.inner()))
}

/// The text of the error without the position that `serde_json` appends.
fn message_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&position).unwrap_or(&text).to_owned()
}

/// `unknown field` and wrong types are unparsable (400); a number out of range or an unknown word is
/// well-formed and breaks a rule (422).
fn classify(path: &str, message: &str) -> ApiError {
    let (code, field) = match message.split_once(" field `") {
        Some(("unknown", rest)) => (Code::UnknownField, joined(path, rest)),
        Some(("duplicate", rest)) => (Code::DuplicateField, joined(path, rest)),
        Some(("missing", rest)) => (Code::InvalidRequest, joined(path, rest)),
        _ if message.starts_with("invalid type") => (Code::InvalidType, named(path)),
        _ => (Code::InvalidRequest, named(path)),
    };
    let detail = match message.split_once(", expected ") {
        Some((found, expected)) if message.starts_with("invalid ") => {
            let found = found.split_once(": ").map_or(found, |(_, value)| value);
            format!("{field} is {found}: expected {}", rule_of(expected))
        }
        _ => format!("{field}: {message}"),
    };
    of_field(code, &field, &detail)
}

/// Says what a Rust type means to somebody who does not know Rust.
fn rule_of(expected: &str) -> &str {
    match expected {
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" => "a whole number from 0 to 18446744073709551615",
        "i64" => "a whole number of 64 bits",
        other if other.starts_with("struct ") => "an object",
        other => other,
    }
}

fn named(path: &str) -> String {
    if path == "." {
        "body".to_owned()
    } else {
        path.to_owned()
    }
}

/// The path of the field whose name ends at the next back quote of `rest`. Some errors are located at the
/// field already, others at the object that holds it.
fn joined(path: &str, rest: &str) -> String {
    let name = rest.split('`').next().unwrap_or(rest);
    if path == "." {
        name.to_owned()
    } else if path == name || path.ends_with(&format!(".{name}")) {
        path.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use dmq_api::rest::quorum::InitializeRequest;
    use dmq_api::rest::topics::CreateTopicRequest;
    use http_body_util::BodyExt;

    use super::*;

    async fn problem_of<T: DeserializeOwned>(body: &str) -> Problem {
        let error = read::<T>(body.as_bytes()).err().unwrap();
        let bytes = error
            .into_response()
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes();
        serde_json::from_slice(&bytes).unwrap()
    }

    async fn check(cases: &[(&str, &str, Option<&str>, &str)]) {
        for &(body, code, field, text) in cases {
            let problem = problem_of::<CreateTopicRequest>(body).await;
            assert_eq!(problem.code, code, "{body}: {problem:?}");
            assert_eq!(problem.field.as_deref(), field, "{body}: {problem:?}");
            assert!(problem.detail.contains(text), "{body}: {problem:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_json_is_refused_as_such() {
        let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
        check(&[
            ("{", "MALFORMED_JSON", None, "EOF"),
            ("", "MALFORMED_JSON", None, "EOF"),
            ("{} {}", "MALFORMED_JSON", None, "trailing"),
            (
                r#"{"numPartitions": NaN}"#,
                "MALFORMED_JSON",
                None,
                "expected",
            ),
            (
                r#"{"numPartitions": 1e999}"#,
                "MALFORMED_JSON",
                None,
                "out of range",
            ),
            ("\u{feff}{}", "MALFORMED_JSON", None, "expected value"),
            (&deep, "MALFORMED_JSON", None, "deeper than 32"),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_wrong_shape_names_the_field() {
        check(&[
            ("[]", "INVALID_TYPE", Some("body"), "expected"),
            ("7", "INVALID_TYPE", Some("body"), "an object"),
            (
                r#"{"nope": 1}"#,
                "UNKNOWN_FIELD",
                Some("nope"),
                "expected one of",
            ),
            (
                r#"{"numPartitions": "3"}"#,
                "INVALID_TYPE",
                Some("numPartitions"),
                "\"3\"",
            ),
            (
                r#"{"numPartitions": 1.5}"#,
                "INVALID_TYPE",
                Some("numPartitions"),
                "`1.5`",
            ),
            (
                r#"{"configs": {"a": []}}"#,
                "INVALID_TYPE",
                Some("configs.a"),
                "a string",
            ),
            (
                r#"{"assignments": [[1], ["x"]]}"#,
                "INVALID_TYPE",
                Some("assignments[1][0]"),
                "x",
            ),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_key_given_twice_is_refused() {
        let in_map = r#"{"configs": {"retention.ms": 1, "retention.ms": 2}}"#;
        check(&[
            (
                r#"{"topicName": "a", "topicName": "b"}"#,
                "DUPLICATE_FIELD",
                Some("topicName"),
                "dup",
            ),
            (
                in_map,
                "DUPLICATE_FIELD",
                Some("configs.retention.ms"),
                "duplicate",
            ),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_number_out_of_range_breaks_a_rule() {
        let rule = "0 to 4294967295";
        check(&[
            (
                r#"{"numPartitions": -1}"#,
                "INVALID_REQUEST",
                Some("numPartitions"),
                rule,
            ),
            (
                r#"{"numPartitions": 4294967296}"#,
                "INVALID_REQUEST",
                Some("numPartitions"),
                rule,
            ),
        ])
        .await;
    }

    #[tokio::test]
    async fn a_missing_field_of_a_list_element_is_located() {
        let problem = problem_of::<InitializeRequest>("{\"voters\": [{\"id\": 1}]}").await;
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (422, Some("voters[0].directoryId"))
        );
    }

    #[tokio::test]
    async fn an_array_in_the_place_of_a_list_element_is_refused() {
        let body = r#"{"voters": [[1, "00000000-0000-4000-8000-000000000001"]]}"#;
        let problem = problem_of::<InitializeRequest>(body).await;
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (400, Some("voters[0]"))
        );
        assert!(problem.detail.contains("an object"), "{problem:?}");
    }

    #[test]
    fn brackets_within_strings_do_not_nest() {
        let body = format!(
            "{{\"topicName\": \"{}\\\"{}\"}}",
            "[".repeat(40),
            "{".repeat(40)
        );
        assert!(read::<CreateTopicRequest>(body.as_bytes()).is_ok());
    }
}
