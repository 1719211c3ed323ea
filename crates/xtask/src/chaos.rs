//! `chaos`: real nodes in namespaces of their own, under faults, for as long as one likes. The work is done by `dmq-chaos` of the
//! testkit, which says what its arguments mean; here is what it needs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::apt;
use crate::process;
use crate::workspace::{SERVER_BINARY, TEST_PROFILE, cargo, metadata};

/// The program of the testkit.
const BINARY: &str = "dmq-chaos";

/// Programs of the system, and the Debian packages that have them.
const PROGRAMS: [(&str, &str); 9] = [
    ("setpriv", "util-linux"),
    ("unshare", "util-linux"),
    ("ip", "iproute2"),
    ("bridge", "iproute2"),
    ("nft", "nftables"),
    ("socat", "socat"),
    ("strace", "strace"),
    ("sqlite3", "sqlite3"),
    ("mkfs.ext4", "e2fsprogs"),
];

/// What to do to how many nodes, for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Keep drawing faults for so many minutes, instead of each fault once.
    #[arg(long)]
    minutes: Option<u64>,
    /// The same in seconds, as a failure prints it.
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// Draw the faults from this seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Number of voters: 3 or 5.
    #[arg(long)]
    nodes: Option<u32>,
    /// What the projections are kept in: sqlite or postgres.
    #[arg(long)]
    store: Option<String>,
    /// Only this fault; may be given several times.
    #[arg(long)]
    fault: Vec<String>,
}

/// Builds what is needed and runs it.
pub(crate) fn chaos(options: &Options) -> anyhow::Result<()> {
    let means = means()?;
    let program = means
        .iter()
        .find(|(name, _)| *name == "DMQ_CHAOS_BIN")
        .map(|(_, path)| PathBuf::from(path));
    let mut command = Command::new(program.context("no program")?);
    command.args(options.arguments()).envs(means);
    process::run(command)
}

impl Options {
    fn arguments(&self) -> Vec<String> {
        let seconds = self.seconds.or(self.minutes.map(|minutes| 60 * minutes));
        let given = [
            ("--seed", self.seed.map(|seed| seed.to_string())),
            ("--nodes", self.nodes.map(|nodes| nodes.to_string())),
            ("--store", self.store.clone()),
            ("--seconds", seconds.map(|seconds| seconds.to_string())),
        ];
        let given = given
            .into_iter()
            .filter_map(|(flag, value)| Some((flag, value?)));
        let faults = self.fault.iter().map(|fault| ("--fault", fault.clone()));
        given
            .chain(faults)
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect()
    }
}

/// What the program, or a test that starts it, finds in its environment.
pub(crate) fn means() -> anyhow::Result<Vec<(&'static str, OsString)>> {
    ensure!(
        cfg!(target_os = "linux") && rustix::process::geteuid().is_root(),
        "namespaces, nftables and mounts need Linux and root"
    );
    install_programs()?;
    let postgres = apt::postgres().context("no PostgreSQL")?;
    let folder = build()?;
    Ok(vec![
        ("DMQ_CHAOS_BIN", folder.join(BINARY).into()),
        ("DMQ_METADATA_BIN", folder.join(SERVER_BINARY).into()),
        ("DMQ_TEST_POSTGRES_BIN", postgres.into()),
    ])
}

fn install_programs() -> anyhow::Result<()> {
    let missing = || {
        PROGRAMS
            .iter()
            .filter(|(program, _)| apt::on_path(program).is_none())
    };
    let packages: Vec<&str> = missing().map(|(_, package)| *package).collect();
    if !packages.is_empty() {
        apt::install(&packages)?;
    }
    if let Some((program, package)) = missing().next() {
        bail!("`{package}` is installed, but `{program}` is not on PATH");
    }
    Ok(())
}

/// The folder of both programs, built in one go.
fn build() -> anyhow::Result<PathBuf> {
    // `--workspace` keeps the features of shared dependencies equal to those of the test build.
    let arguments = [
        "build",
        "--workspace",
        "--bin",
        SERVER_BINARY,
        "--bin",
        BINARY,
        "--profile",
        TEST_PROFILE,
    ];
    process::run(cargo(&arguments))?;
    let folder = metadata()?.target_directory.into_std_path_buf();
    Ok(folder.join(TEST_PROFILE))
}
