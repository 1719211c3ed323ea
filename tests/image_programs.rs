//! The programs of the images run where nothing else is: no shell, no libraries, no rights.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use dmq_testkit::harness::wait_until;
use dmq_testkit::image::Archive;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const PAUSE: &str = "registry.k8s.io/pause:3.10";

/// `chroot` into the image as the image's user, with nothing of the caller's environment.
fn inside(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    command
        .arg("--userspec=65532:65532")
        .arg(root)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn run(root: &Path, words: &[&str]) -> anyhow::Result<Output> {
    Ok(inside(root).args(words).output()?)
}

#[test]
fn every_program_runs_on_an_empty_root() -> anyhow::Result<()> {
    for name in ["dmq-metadata", "dmq-operator", "dmq-load"] {
        let root = tempfile::tempdir()?;
        Archive::of(&format!("ghcr.io/dmq-io/{name}:{VERSION}"))?.unpack(root.path())?;
        open(root.path())?;
        let output = run(root.path(), &[&format!("/{name}"), "--help"])?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {output:?}");
        assert!(text.contains("Usage: "), "{name}: {text}");
    }
    Ok(())
}

/// A temporary directory is for its owner only; the image's user is somebody else.
fn open(root: &Path) -> std::io::Result<()> {
    std::fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}

#[test]
fn the_image_for_rollouts_is_the_same_program_under_another_version() -> anyhow::Result<()> {
    let now = Archive::of(&format!("ghcr.io/dmq-io/dmq-metadata:{VERSION}"))?;
    let next = Archive::of("ghcr.io/dmq-io/dmq-metadata:0.1.1")?;
    assert_eq!(now.contents()?, next.contents()?);
    assert_ne!(now.run()?, next.run()?);
    Ok(())
}

#[test]
fn the_broken_image_ends_at_once() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    Archive::of("ghcr.io/dmq-io/dmq-metadata:0.1.2-broken")?.unpack(root.path())?;
    open(root.path())?;
    for arguments in [["format", "--if-empty"], ["serve", "--config=/x"]] {
        let mut words = vec!["/dmq-metadata"];
        words.extend(arguments);
        assert_eq!(run(root.path(), &words)?.status.code(), Some(1));
    }
    Ok(())
}

#[tokio::test]
async fn the_pause_program_waits_for_the_request_to_stop() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    Archive::of(PAUSE)?.unpack(root.path())?;
    open(root.path())?;
    let mut child = inside(root.path()).arg("/pause").spawn()?;
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed());
    let pid = pid.ok_or_else(|| anyhow::anyhow!("no process id"))?;
    // A request that comes before the program listens would end it by the signal instead.
    wait_until("the program listens", async || {
        assert!(child.try_wait()?.is_none(), "it ended by itself");
        Ok(listens(pid)?.then_some(()))
    })
    .await?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    let status = child.wait()?;
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    Ok(())
}

/// `true` once the process catches SIGCHLD, bit 16 of the mask of caught signals: the last one that it asks for.
fn listens(pid: rustix::process::Pid) -> anyhow::Result<bool> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let mask = u64::from_str_radix(mask.unwrap_or("0").trim(), 16)?;
    let is_pause = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()))?;
    Ok(is_pause.starts_with(b"/pause") && mask & (1 << 16) != 0)
}
