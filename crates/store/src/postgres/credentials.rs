//! Who we tell a server that we are, where the URL does not say: passwords belong into files that only the
//! process can read, not into a configuration that many may see.

use std::path::PathBuf;

use sqlx::postgres::PgConnectOptions;

use crate::{StoreError, redact};

/// What a URL leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The role.
    pub user: Option<String>,
    /// The file that holds the password; a newline at its end does not belong to it. Read for every
    /// connection, so that a changed password is used without a restart.
    pub password_file: Option<PathBuf>,
}

impl Credentials {
    /// Refuses what is said twice: one of them would be a leftover.
    pub(super) fn check(&self, url: &str) -> Result<(), StoreError> {
        let shown = redact(url);
        let twice = |key: &str, what: &str| {
            let rule = format!("holds {what} and so does {key}: give it once");
            Err(StoreError::Invalid(format!(
                "store.url is '{shown}': {rule}"
            )))
        };
        if self.password_file.is_some() && shown != url {
            return twice("store.password-file", "a password");
        }
        if self.user.is_some() && names_a_user(url) {
            return twice("store.user", "a user");
        }
        Ok(())
    }

    /// The options with the password as it is now.
    pub(super) async fn apply(
        &self,
        options: PgConnectOptions,
    ) -> Result<PgConnectOptions, StoreError> {
        let Some(file) = &self.password_file else {
            return Ok(options);
        };
        let unusable = |reason: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("store.password-file {}: {reason}", file.display()))
        };
        let text = tokio::fs::read_to_string(file)
            .await
            .map_err(|error| unusable(&error))?;
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(unusable(&"holds no password")),
            password => Ok(options.password(password)),
        }
    }
}

fn names_a_user(url: &str) -> bool {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let place = base.split_once("://").map_or(base, |(_, place)| place);
    let authority = place.split('/').next().unwrap_or_default();
    authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| !user.is_empty())
        || query.split('&').any(|pair| pair.starts_with("user="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_is_refused_without_showing_it() {
        let user = Credentials {
            user: Some("dmq".to_owned()),
            password_file: None,
        };
        let password = Credentials {
            user: None,
            password_file: Some("/secret/password".into()),
        };
        for url in [
            "postgres://u@h/d",
            "postgres://u:secret@h/d",
            "postgres://h/d?user=u",
        ] {
            let error = user.check(url).unwrap_err().to_string();
            assert!(
                error.contains("store.user") && !error.contains("secret"),
                "{error}"
            );
        }
        for url in ["postgres://u:secret@h/d", "postgres://h/d?password=secret"] {
            let error = password.check(url).unwrap_err().to_string();
            assert!(
                error.contains("store.password-file") && !error.contains("=secret"),
                "{error}"
            );
            assert!(!error.contains("u:secret"), "{error}");
        }
        let both = Credentials {
            user: user.user,
            ..password
        };
        assert!(
            both.check("postgres://h:5432/d?sslmode=verify-full")
                .is_ok()
        );
    }

    #[tokio::test]
    async fn the_file_is_read_each_time_and_its_absence_is_the_databases_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("password");
        let credentials = Credentials {
            user: None,
            password_file: Some(file.clone()),
        };
        let read = || credentials.apply(PgConnectOptions::new_without_pgpass());
        let error = read().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("store.password-file"), "{error}");
        std::fs::write(&file, "\n").unwrap();
        assert!(read().await.is_err());
        std::fs::write(&file, "secret\n").unwrap();
        assert!(read().await.is_ok());
    }
}
