//! A server elsewhere: it wants a password and TLS, and its certificate is checked as far as `sslmode` says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test"
)]

mod server;

use std::path::{Path, PathBuf};

use dmq_metadata::{ClusterId, DirectoryId, Incarnation, NodeId};
use dmq_store::local_postgres::PostgresServer;
use dmq_store::{Credentials, Found, Owner, PostgresStore, StateStore, StoreError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use server::own_server;
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

/// A server that takes TLS and a password only, and what its clients hold.
struct Elsewhere {
    server: PostgresServer,
    folder: TempDir,
    /// The authority that made the server's certificate, and one that did not.
    ca: PathBuf,
    other_ca: PathBuf,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn elsewhere() -> Option<Elsewhere> {
    let mut server = own_server().await?;
    let (ca, other_ca) = (authority("ours"), authority("another"));
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned()];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let mut connection = sqlx::ConnectOptions::connect(&options(&server.url("postgres"))).await;
    let create = format!("CREATE ROLE meta LOGIN CREATEDB PASSWORD '{PASSWORD}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(create))
        .execute(connection.as_mut().unwrap())
        .await
        .unwrap();
    let hba = "hostssl all all all scram-sha-256\nlocal all postgres trust\n";
    let (certificate, key) = (certificate.pem(), key.serialize_pem());
    let files = [
        ("server.crt", certificate.as_str()),
        ("server.key", &key),
        ("pg_hba.conf", hba),
    ];
    server.reconfigure(&files, "ssl = on").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    write("password", &format!("{PASSWORD}\n"));
    let (ca, other_ca) = (
        write("ca.pem", &ca.pem()),
        write("other.pem", &other_ca.pem()),
    );
    Some(Elsewhere {
        server,
        folder,
        ca,
        other_ca,
    })
}

fn options(url: &str) -> sqlx::postgres::PgConnectOptions {
    url.parse().unwrap()
}

impl Elsewhere {
    fn store(&self, host: &str, parameters: &str) -> PostgresStore {
        let url = format!("postgres://{host}:{}/meta?{parameters}", self.server.port());
        let credentials = Credentials {
            user: Some("meta".to_owned()),
            password_file: Some(self.password_file()),
        };
        PostgresStore::with_credentials(&url, credentials).unwrap()
    }

    fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }
}

fn me() -> Owner {
    Owner {
        cluster_id: ClusterId::parse("dmq").unwrap(),
        incarnation: Incarnation::FIRST,
        node: NodeId(1),
        directory: DirectoryId::default(),
    }
}

async fn refusal(mut store: PostgresStore) -> String {
    let error = store.claim(&me()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    let text = error.to_string();
    assert!(!text.contains(PASSWORD), "{text}");
    text
}

fn verify(mode: &str, ca: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", ca.display())
}

#[tokio::test]
async fn certificates_are_checked_as_far_as_the_mode_says() {
    let Some(there) = elsewhere().await else {
        return;
    };
    for (host, parameters) in [
        ("localhost", verify("verify-full", &there.ca)),
        ("127.0.0.1", verify("verify-ca", &there.ca)),
        ("127.0.0.1", "sslmode=require".to_owned()),
    ] {
        let found = there.store(host, &parameters).claim(&me()).await;
        assert!(found.is_ok(), "{host} {parameters}: {found:?}");
    }
    refusal(there.store("localhost", &verify("verify-full", &there.other_ca))).await;
    // The certificate is for `localhost`.
    refusal(there.store("127.0.0.1", &verify("verify-full", &there.ca))).await;
    let text = refusal(there.store("localhost", "sslmode=disable")).await;
    assert!(
        text.contains("no encryption") || text.contains("pg_hba"),
        "{text}"
    );
}

#[tokio::test]
async fn a_password_is_read_from_its_file_for_every_connection() {
    let Some(there) = elsewhere().await else {
        return;
    };
    let mut store = there.store("localhost", "sslmode=require");
    std::fs::write(there.password_file(), "wrong").unwrap();
    assert!(store.claim(&me()).await.is_err());
    std::fs::write(there.password_file(), PASSWORD).unwrap();
    assert!(matches!(store.claim(&me()).await, Ok(Found::Empty)));
}
