//! The command line: which commands there are, and what each takes.

use clap::{Parser, Subcommand};

use crate::{
    bench, chaos, charts, check, ci, cluster, crds, fix, fuzz, image, mutants, replay, suite,
};

/// Development commands of DMQ Metadata.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Format, clippy, layers, tidiness, drift of generated files. Never writes.
    Lint {
        /// Checks to run, all if none is named.
        checks: Vec<String>,
    },
    /// Writes what `lint` would complain about and can be written: format, clippy's suggestions, generated files.
    Fix,
    /// Runs all suites whose means this machine has, or the named ones.
    Test(suite::Options),
    /// `lint`, then `test`.
    Ci(suite::Options),
    /// Prints the `OpenAPI` document of the server, or writes it to manifests/openapi.json.
    Openapi {
        /// Write the file instead of printing it.
        #[arg(long)]
        write: bool,
    },
    /// Prints the custom resource definition, or writes it to manifests/crds.
    Crds {
        /// Write the file instead of printing it.
        #[arg(long)]
        write: bool,
    },
    /// Names what in the charts and manifests is generated, or writes it.
    Charts {
        /// Write the files.
        #[arg(long)]
        write: bool,
    },
    /// The whole-node simulation, or the replay of one of its seeds.
    Sim(replay::Options),
    /// The random walker of the consensus core, or the replay of one of its seeds.
    Walker(replay::Options),
    /// Real nodes under faults, with clients whose histories are checked.
    Chaos(chaos::Options),
    /// The decoders' fuzzers, guided by the code that runs.
    Fuzz(fuzz::Options),
    /// Lets what searches for bugs meet every seeded bug: a mutant that nobody finds is a failure.
    Mutants(mutants::Options),
    /// A real Kubernetes on this machine, with our images on its nodes.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Builds the container images as OCI archives, only where contents changed, and says where they are.
    Images,
    /// Measures a quorum on this machine.
    #[command(subcommand)]
    Bench(bench::Command),
}

/// Parses the command line and does what it says.
pub(crate) fn run() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Lint { checks } => check::lint(&checks),
        Command::Fix => fix::fix(),
        Command::Test(options) => suite::test(&options),
        Command::Ci(options) => ci::ci(&options),
        Command::Openapi { write } => check::drift::openapi(write),
        Command::Crds { write } => crds::crds(write),
        Command::Charts { write } => charts::charts(write),
        Command::Sim(options) => replay::run("sim", &options),
        Command::Walker(options) => replay::run("walker", &options),
        Command::Chaos(options) => chaos::chaos(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Mutants(options) => mutants::mutants(&options),
        Command::Cluster(command) => cluster::run(command),
        Command::Images => image::list(),
        Command::Bench(command) => bench::run(command),
    }
}
