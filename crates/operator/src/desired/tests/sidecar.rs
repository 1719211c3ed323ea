//! The sidecar's script, run by a real shell with stand-ins for PostgreSQL's programs, which note what they are told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use super::super::sidecar::SCRIPT;

/// Ends a hung test and decides nothing else.
const PATIENCE: Duration = Duration::from_mins(1);

/// Makes a directory, or fails the first time with a half-made one if told so.
const INITDB: &str = r#"#!/bin/sh
echo "initdb $*" >> "$NOTES"
mkdir -p "$2"
if [ -e "$ROOT/fail-initdb" ]; then rm "$ROOT/fail-initdb"; exit 1; fi
echo 15 > "$2/PG_VERSION"
"#;

/// Takes SQL, or serves until SIGINT comes; fails the first time if told so; overhears the first SIGINT if told so.
const POSTGRES: &str = r#"#!/bin/sh
echo "postgres $*" >> "$NOTES"
case "$1" in --single) sed 's/^/sql /' >> "$NOTES"; exit 0;; esac
if [ -e "$ROOT/fail-postgres" ]; then rm "$ROOT/fail-postgres"; exit 1; fi
# A shell cannot take back a SIGINT that was ignored when it began: another program stands in.
exec perl -e '
  my $deaf = -e "$ENV{ROOT}/deaf" ? 1 : 0;
  my $note = sub { open(my $f, ">>", $ENV{NOTES}); print $f "$_[0]\n"; close $f };
  $SIG{INT} = sub { $note->("int"); exit 0 unless $deaf-- > 0 };
  $note->("serving");
  sleep 1 while 1;
'
"#;

struct Sidecar {
    root: PathBuf,
    shell: Child,
}

impl Sidecar {
    fn start(name: &str, marks: &[&str]) -> Self {
        let name = format!("dmq-sidecar-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(name);
        for folder in ["bin", "data", "socket"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        program(&root.join("bin/initdb"), INITDB);
        program(&root.join("bin/postgres"), POSTGRES);
        for mark in marks {
            std::fs::write(root.join(mark), "").unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT])
            .env("PATH", format!("{}/bin:{path}", root.display()))
            .env("ROOT", &root)
            .env("NOTES", root.join("notes"))
            .env("DATA_ROOT", root.join("data"))
            .env("SOCKET_DIR", root.join("socket"))
            .env("PG_MAJOR", "15")
            .env("POSTGRES_HOST_AUTH_METHOD", "trust")
            .env("POSTGRES_INITDB_ARGS", "--data-checksums --locale=C")
            .stderr(std::fs::File::create(root.join("said")).unwrap())
            .spawn()
            .unwrap();
        Self { root, shell }
    }

    fn notes(&self) -> String {
        std::fs::read_to_string(self.root.join("notes")).unwrap_or_default()
    }

    fn count(&self, line: &str) -> usize {
        self.notes().lines().filter(|l| l.starts_with(line)).count()
    }

    fn wait_for(&self, line: &str, times: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(line) < times {
            assert!(
                Instant::now() < deadline,
                "no {times} x '{line}' in:\n{}",
                self.notes()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As the kubelet stops a container; returns the exit code.
    fn stop(&mut self) -> Option<i32> {
        let kill = Command::new("kill")
            .args(["-TERM", &self.shell.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.shell.try_wait().unwrap() {
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not stop:\n{}",
                self.notes()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn an_empty_volume_gets_a_database_and_a_stop_is_a_fast_shutdown() {
    let mut sidecar = Sidecar::start("empty", &[]);
    sidecar.wait_for("serving", 1);
    assert_eq!(sidecar.stop(), Some(0));
    let notes = sidecar.notes();
    let data = sidecar.root.join("data/pgdata-15");
    assert!(data.join("PG_VERSION").exists(), "{notes}");
    let checked = "-U postgres --data-checksums --locale=C --auth-local=trust --auth-host=reject";
    assert!(notes.contains(checked), "{notes}");
    assert!(
        notes.contains("sql CREATE DATABASE dmq OWNER dmq;"),
        "{notes}"
    );
    assert!(
        notes.contains("-c listen_addresses= -c unix_socket_directories="),
        "{notes}"
    );
    assert!(notes.ends_with("int\n"), "{notes}");
    let mode = std::fs::metadata(data).unwrap().permissions().mode();
    assert_eq!(
        mode & 0o7777,
        0o700,
        "PostgreSQL refuses a directory that others can enter"
    );
}

#[test]
fn a_server_that_ends_is_started_again_and_a_kept_database_is_not_made_again() {
    let mut sidecar = Sidecar::start("again", &["fail-postgres"]);
    sidecar.wait_for("serving", 1);
    assert_eq!(
        (sidecar.count("postgres -D"), sidecar.count("initdb")),
        (2, 1)
    );
    assert_eq!(sidecar.stop(), Some(0));
}

#[test]
fn a_database_that_was_begun_and_not_finished_is_made_anew() {
    let mut sidecar = Sidecar::start("begun", &["fail-initdb"]);
    sidecar.wait_for("initdb", 1);
    sidecar.wait_for("serving", 1);
    assert_eq!(sidecar.count("initdb"), 2, "{}", sidecar.notes());
    assert_eq!(sidecar.stop(), Some(0));
    assert!(!sidecar.root.join("data/pgdata-15.new").exists());
}

#[test]
fn a_stop_that_the_server_does_not_hear_is_repeated() {
    let mut sidecar = Sidecar::start("deaf", &["deaf"]);
    sidecar.wait_for("serving", 1);
    assert_eq!(sidecar.stop(), Some(0));
    assert!(sidecar.count("int") >= 2, "{}", sidecar.notes());
}

#[test]
fn a_stop_while_it_waits_to_start_again_starts_nothing() {
    let mut sidecar = Sidecar::start("pause", &["fail-postgres"]);
    sidecar.wait_for("postgres -D", 1);
    // The stop may come before, during or after the pause; in no case does a server stay behind.
    assert_eq!(sidecar.stop(), Some(0));
    let (begun, stopped) = (sidecar.count("serving"), sidecar.count("int"));
    assert!(begun <= stopped, "{}", sidecar.notes());
}
