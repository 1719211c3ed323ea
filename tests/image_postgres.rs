//! The PostgreSQL image as the sidecar uses it: an ordinary user, a root that nobody can write, directories that are mounted.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::ensure;
use dmq_testkit::harness::wait_until;
use dmq_testkit::image::Archive;
use tempfile::TempDir;

const REFERENCE: &str = "docker.io/library/postgres:15";

/// What a container runtime does: the image read-only, an empty `/tmp` and `/run`, a volume for the data, no network. The
/// socket's directory is mounted too, so that the test sees it.
const CONTAINER: &str = r#"
set -eu
root=$1 data=$2 sockets=$3
shift 3
mount --bind "$root" "$root"
mount -o remount,ro,bind "$root"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mkdir "$root/run/postgresql"
mount --bind "$sockets" "$root/run/postgresql"
mount --bind "$data" "$root/var/lib/postgresql/data"
exec chroot --userspec=999:999 --groups=999 "$root" "$@"
"#;

/// An unpacked image with its volumes.
struct Container {
    image: TempDir,
    data: TempDir,
    sockets: TempDir,
}

impl Container {
    fn new() -> anyhow::Result<Self> {
        let [image, data, sockets] = [TempDir::new()?, TempDir::new()?, TempDir::new()?];
        Archive::of(REFERENCE)?.unpack(image.path())?;
        for name in ["dev", "proc", "run", "tmp"] {
            std::fs::create_dir_all(image.path().join(name))?;
        }
        for (folder, mode) in [(&image, 0o755), (&data, 0o777), (&sockets, 0o777)] {
            std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(mode))?;
        }
        Ok(Self {
            image,
            data,
            sockets,
        })
    }

    /// A process in the container with the image's environment and these variables.
    fn command(&self, variables: &[(&str, &str)], words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c"])
            .args([CONTAINER, "container"])
            .args([self.image.path(), self.data.path(), self.sockets.path()])
            .args(words)
            .env_clear();
        let run = Archive::of(REFERENCE)?.run()?;
        for variable in run["Env"].as_array().into_iter().flatten() {
            let pair = variable.as_str().and_then(|text| text.split_once('='));
            command.envs(pair);
        }
        command.envs(variables.iter().copied());
        Ok(command)
    }

    fn start(&self, variables: &[(&str, &str)], words: &[&str]) -> anyhow::Result<Server> {
        let mut all = vec!["docker-entrypoint.sh"];
        all.extend(words);
        let log = std::fs::File::create(self.log())?;
        let child = self
            .command(variables, &all)?
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Server(child))
    }

    fn log(&self) -> std::path::PathBuf {
        self.sockets.path().join("log")
    }

    fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// Runs one statement through the socket.
    fn query(&self, user: &str, database: &str, sql: &str) -> anyhow::Result<Output> {
        let words = [
            "psql",
            "-XAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            user,
            "-d",
            database,
            "-c",
            sql,
        ];
        Ok(self.command(&[], &words)?.output()?)
    }

    /// Waits until the statement succeeds while the server runs, and returns what it says.
    async fn answer(
        &self,
        server: &mut Server,
        user: &str,
        database: &str,
        sql: &str,
    ) -> anyhow::Result<String> {
        wait_until(&format!("`{sql}` is answered"), async || {
            ensure!(
                server.0.try_wait()?.is_none(),
                "it ended: {}",
                self.read_log()
            );
            // While the database is being made the server answers too, and ends after it.
            let log = self.read_log();
            let made =
                log.contains("init process complete") || log.contains("Skipping initialization");
            let output = self.query(user, database, sql)?;
            let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            Ok((made && output.status.success()).then_some(text))
        })
        .await
        .map_err(|error| error.context(self.read_log()))
    }
}

/// The server's process, which is the entry point's: `unshare`, `sh` and `chroot` have replaced themselves.
struct Server(Child);

impl Server {
    fn stop(mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_raw(self.0.id().cast_signed());
        if let Some(pid) = pid {
            rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        }
        let status = self.0.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_database_is_made_from_the_environment_and_found_again() -> anyhow::Result<()> {
    let container = Container::new()?;
    let variables = [
        ("POSTGRES_HOST_AUTH_METHOD", "trust"),
        ("POSTGRES_USER", "keeper"),
        ("POSTGRES_DB", "a \"strange\" name"),
        ("POSTGRES_INITDB_ARGS", "--data-checksums --locale=C"),
        ("PGDATA", "/var/lib/postgresql/data/pgdata-15"),
    ];
    let words = [
        "postgres",
        "-c",
        "listen_addresses=",
        "-c",
        "cluster_name=it's",
    ];
    let mut server = container.start(&variables, &words)?;
    let settings = "SELECT current_setting('data_checksums') || current_setting('lc_collate') \
                    || current_setting('cluster_name') || current_database()";
    let (user, database) = ("keeper", "a \"strange\" name");
    let answer = container
        .answer(&mut server, user, database, settings)
        .await?;
    assert_eq!(answer, "onCit's".to_owned() + database);
    container
        .answer(&mut server, user, database, "CREATE TABLE kept (x int)")
        .await?;
    server.stop()?;
    let mode = container
        .data
        .path()
        .join("pgdata-15")
        .metadata()?
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    let mut again = container.start(&variables, &words)?;
    let rows = container
        .answer(&mut again, user, database, "SELECT count(*) FROM kept")
        .await?;
    assert_eq!(rows, "0");
    again.stop()
}

#[tokio::test]
async fn a_password_comes_from_a_file_and_guards_the_network() -> anyhow::Result<()> {
    let container = Container::new()?;
    std::fs::write(container.sockets.path().join("secret"), "it's secret\n")?;
    let variables = [
        ("POSTGRES_PASSWORD_FILE", "/run/postgresql/secret"),
        ("PGDATA", "/var/lib/postgresql/data/here"),
    ];
    let mut server = container.start(&variables, &["postgres"])?;
    let hash =
        "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'postgres'";
    let answer = container
        .answer(&mut server, "postgres", "postgres", hash)
        .await?;
    assert_eq!(answer, "t");
    let rules = container.data.path().join("here/pg_hba.conf");
    let rules = std::fs::read_to_string(rules)?;
    assert!(
        rules.ends_with("\nhost all all all scram-sha-256\n"),
        "{rules}"
    );
    let address = "SHOW listen_addresses";
    let answer = container
        .answer(&mut server, "postgres", "postgres", address)
        .await?;
    assert_eq!(answer, "*");
    server.stop()
}

#[test]
fn without_a_password_nothing_is_made() -> anyhow::Result<()> {
    let container = Container::new()?;
    let output = container
        .command(&[], &["docker-entrypoint.sh", "postgres"])?
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("POSTGRES_PASSWORD"), "{said}");
    assert!(!Path::new(&container.data.path().join("PG_VERSION")).exists());
    Ok(())
}

#[test]
fn the_image_has_a_shell_and_the_variables_of_the_official_one() -> anyhow::Result<()> {
    let container = Container::new()?;
    let script = "id -u; id -un; echo $PG_MAJOR; command -v initdb; date +%s >/dev/null; echo x | sed s/x/y/";
    let output = container.command(&[], &["sh", "-c", script])?.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = [
        "999",
        "postgres",
        "15",
        "/usr/lib/postgresql/15/bin/initdb",
        "y",
    ];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected, "{output:?}");
    Ok(())
}
