//! The token of admin routes: never printed.

use std::fmt;

use k8s_openapi::api::core::v1::Secret;

/// Key of the token in its Secret.
const KEY: &str = "token";

/// The token of admin routes.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// What a Secret holds, if it holds one.
    pub fn of(secret: &Secret) -> Option<Self> {
        let bytes = secret.data.as_ref()?.get(KEY)?;
        let text = std::str::from_utf8(&bytes.0).ok()?.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// For a request.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_read_and_never_printed() {
        let secret = |data: serde_json::Value| -> Secret {
            serde_json::from_value(json!({"data": data})).unwrap()
        };
        let token = Token::of(&secret(json!({"token": "c2VjcmV0Cg=="}))).unwrap();
        assert_eq!(token.reveal(), "secret");
        assert!(!format!("{token:?}").contains("secret"));
        assert_eq!(Token::of(&secret(json!({"token": "Cg=="}))), None);
        assert_eq!(Token::of(&secret(json!({}))), None);
    }
}
