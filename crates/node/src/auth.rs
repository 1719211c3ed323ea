//! Who may use admin routes: a bearer token from a file, or, where none is configured, loopback only.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use dmq_metadata::Principal;
use http::HeaderMap;
use http::header::{AUTHORIZATION, ORIGIN};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Largest token file that is read, in bytes.
const TOKEN_FILE_BYTES_MAX: usize = 64 * 1024;

/// The gate of admin routes.
#[derive(Clone, Debug)]
pub struct AdminAuth {
    token_file: Option<PathBuf>,
}

/// Why a request may not use an admin route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token, or a wrong one: 401.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Nothing that the caller could send would help: 403.
    #[error("{0}")]
    Forbidden(String),
}

impl AdminAuth {
    /// A gate that takes the tokens of this file, one a line; `None`: loopback only.
    pub fn new(token_file: Option<PathBuf>) -> Self {
        Self { token_file }
    }

    /// Admits an admin request of `peer` or says why not.
    ///
    /// The file is read for every request: admin requests are rare, and a file that a secret store swaps
    /// is thus never missed. A file that cannot be read admits nobody.
    pub async fn admit(
        &self,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<Principal, AuthError> {
        match &self.token_file {
            Some(file) => check_token(headers, &read_tokens(file).await?)?,
            None => check_loopback(headers, peer)?,
        }
        Principal::parse("admin").map_err(|error| AuthError::Forbidden(error.message))
    }
}

/// Whether the file can be used now; says why not.
pub fn check_token_file(file: &Path) -> Result<(), String> {
    let content = std::fs::read(file).map_err(|error| error.to_string())?;
    check_tokens(&content)
}

fn check_tokens(content: &[u8]) -> Result<(), String> {
    if content.len() > TOKEN_FILE_BYTES_MAX {
        Err(format!("larger than {TOKEN_FILE_BYTES_MAX} bytes"))
    } else if tokens(content).next().is_none() {
        Err("holds no token".to_owned())
    } else {
        Ok(())
    }
}

async fn read_tokens(file: &Path) -> Result<Vec<u8>, AuthError> {
    let unreadable = |reason: String| {
        tracing::warn!(file = %file.display(), reason, "admin token file is not usable");
        AuthError::Forbidden("the server cannot read its admin token file".to_owned())
    };
    let content = tokio::fs::read(file)
        .await
        .map_err(|error| unreadable(error.to_string()))?;
    check_tokens(&content).map_err(unreadable)?;
    Ok(content)
}

fn tokens(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    content
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

fn check_token(headers: &HeaderMap, content: &[u8]) -> Result<(), AuthError> {
    let given = bearer(headers).ok_or(AuthError::Unauthenticated(
        "this route needs the admin token: Authorization: Bearer <token>",
    ))?;
    // Digests have one length, so neither the length nor a common prefix of a guess shows in the time.
    // All lines are compared for the same reason.
    let given = Sha256::digest(given);
    let found = tokens(content)
        .map(|token| Sha256::digest(token).ct_eq(&given))
        .fold(subtle::Choice::from(0), |found, equal| found | equal);
    if bool::from(found) {
        Ok(())
    } else {
        Err(AuthError::Unauthenticated(
            "the bearer token is not the admin token",
        ))
    }
}

/// The token of the one `Authorization` header; the scheme's case does not count (RFC 9110, 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (value, None) = (values.next()?.as_bytes(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    let token = token.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"Bearer ") && !token.is_empty()).then_some(token)
}

fn check_loopback(headers: &HeaderMap, peer: Option<SocketAddr>) -> Result<(), AuthError> {
    if !peer.is_some_and(|peer| peer.ip().to_canonical().is_loopback()) {
        let detail = "without auth.admin-token-file, this route answers to loopback only";
        return Err(AuthError::Forbidden(detail.to_owned()));
    }
    // Browsers name the page that sends a request. A page from elsewhere must not reach a quorum through
    // the browser of somebody who works on its machine.
    match headers.get(ORIGIN) {
        Some(origin) if !is_loopback_origin(origin.as_bytes()) => Err(AuthError::Forbidden(
            "this route does not answer to pages from elsewhere".to_owned(),
        )),
        _ => Ok(()),
    }
}

fn is_loopback_origin(origin: &[u8]) -> bool {
    let host = std::str::from_utf8(origin)
        .ok()
        .and_then(|text| text.parse::<http::Uri>().ok());
    let Some(host) = host.as_ref().and_then(http::Uri::host) else {
        return false;
    };
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn with(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn peer(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn without_a_token_file_only_loopback_is_admitted() {
        let auth = AdminAuth::new(None);
        for local in [
            "127.0.0.1:9",
            "127.8.0.1:9",
            "[::1]:9",
            "[::ffff:127.0.0.1]:9",
        ] {
            assert!(
                auth.admit(&HeaderMap::new(), Some(peer(local)))
                    .await
                    .is_ok(),
                "{local}"
            );
        }
        for other in [
            Some(peer("10.0.0.1:9")),
            Some(peer("[2001:db8::1]:9")),
            None,
        ] {
            let refused = auth.admit(&HeaderMap::new(), other).await.unwrap_err();
            assert!(matches!(refused, AuthError::Forbidden(_)), "{other:?}");
        }
    }

    #[tokio::test]
    async fn a_page_from_elsewhere_is_refused_on_loopback() {
        let auth = AdminAuth::new(None);
        let local = Some(peer("127.0.0.1:9"));
        for page in [
            "http://evil.example",
            "null",
            "http://localhost.evil.example:8080",
        ] {
            assert!(
                auth.admit(&with(ORIGIN, page), local).await.is_err(),
                "{page}"
            );
        }
        for page in [
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://[::1]:8080",
        ] {
            assert!(
                auth.admit(&with(ORIGIN, page), local).await.is_ok(),
                "{page}"
            );
        }
    }

    #[tokio::test]
    async fn a_changed_token_file_counts_at_once_and_a_lost_one_admits_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        let auth = AdminAuth::new(Some(file.clone()));
        let old = with(AUTHORIZATION, "Bearer old-token");
        let new = with(AUTHORIZATION, "bearer  new-token ");
        let local = Some(peer("127.0.0.1:9"));

        assert!(matches!(
            auth.admit(&old, local).await,
            Err(AuthError::Forbidden(_))
        ));
        std::fs::write(&file, "old-token\n").unwrap();
        assert!(auth.admit(&old, local).await.is_ok());
        assert!(matches!(
            auth.admit(&new, local).await,
            Err(AuthError::Unauthenticated(_))
        ));
        std::fs::write(&file, "old-token\n\n new-token\n").unwrap();
        assert!(auth.admit(&old, local).await.is_ok() && auth.admit(&new, local).await.is_ok());
        std::fs::write(&file, "new-token").unwrap();
        assert!(matches!(
            auth.admit(&old, local).await,
            Err(AuthError::Unauthenticated(_))
        ));
        std::fs::write(&file, " \n").unwrap();
        assert!(matches!(
            auth.admit(&new, local).await,
            Err(AuthError::Forbidden(_))
        ));
    }

    #[test]
    fn only_one_well_formed_bearer_header_counts() {
        for wrong in ["", "Bearer", "Bearer ", "Basic abc", "Bearerabc", "abc"] {
            assert_eq!(bearer(&with(AUTHORIZATION, wrong)), None, "{wrong}");
        }
        let mut twice = with(AUTHORIZATION, "Bearer a");
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(bearer(&twice), None);
    }
}
