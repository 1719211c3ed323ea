//! `fuzz`: the decoders' fuzzers with a look at which code has run, one target or all, for as long as wanted.
//!
//! Coverage costs no dependency and no other toolchain: our own decoding crates, and only they, are compiled with
//! `-Cinstrument-coverage`; the runtime of LLVM, which comes with the compiler, keeps the counters in a file that the
//! fuzzer reads. `cargo` calls this very program in the place of the compiler for members of the workspace, and it adds
//! the flags; so dependencies are those of every other test build.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use clap::Args;

use crate::process;
use crate::workspace::{TEST_PROFILE, cargo};

/// Set for calls of this program in the place of the compiler.
const AS_COMPILER: &str = "DMQ_XTASK_COMPILES_WITH_COVERAGE";
/// The crates whose code decodes, and the program itself: who is not compiled for coverage is linked without its
/// runtime, and then nobody counts.
const COUNTED: [&str; 6] = [
    "dmq_raft",
    "dmq_log",
    "dmq_metadata",
    "dmq_api",
    "dmq_node",
    TARGET,
];
/// The test that searches, and its target.
const SEARCH: &str = "decoders_survive_what_is_made_of_the_corpus";
const TARGET: &str = "fuzz_decoders";

/// What is fuzzed, for how long.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only this target; an unknown one is answered with the list.
    #[arg(long)]
    target: Option<String>,
    /// Minutes for all targets together.
    #[arg(long, default_value_t = 3)]
    minutes: u64,
    /// Another search.
    #[arg(long)]
    seed: Option<String>,
    /// Run this input only, as a failure named it.
    #[arg(long, conflicts_with_all = ["seed", "grow"])]
    input: Option<PathBuf>,
    /// Put what was found in the place of the corpus's found inputs.
    #[arg(long)]
    grow: bool,
    /// Without coverage: the build of `cargo xtask test`.
    #[arg(long)]
    plain: bool,
}

/// Builds the fuzzers and runs them.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let arguments = [
        "test",
        "--workspace",
        "--profile",
        TEST_PROFILE,
        "--test",
        TARGET,
    ];
    let mut command = cargo(&arguments);
    command.args(["--", "--nocapture", "--test-threads=1", SEARCH]);
    command.env("DMQ_TEST_SECONDS", (60 * options.minutes).to_string());
    let given = [
        ("DMQ_FUZZ_TARGET", options.target.clone()),
        ("DMQ_TEST_SEED", options.seed.clone()),
        ("DMQ_FUZZ_GROW", options.grow.then(|| "1".to_owned())),
    ];
    command.envs(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    if let Some(input) = &options.input {
        command.env("DMQ_FUZZ_INPUT", std::path::absolute(input)?);
    }
    if options.plain || options.input.is_some() {
        return process::run(command);
    }
    let counters = std::env::temp_dir().join(format!("dmq-fuzz-{}", std::process::id()));
    command
        .env("RUSTC_WORKSPACE_WRAPPER", std::env::current_exe()?)
        .env(AS_COMPILER, "1")
        // `%c`: the counters are kept in the file all the time, not written to it at the end.
        .env("LLVM_PROFILE_FILE", format!("{}%c", counters.display()));
    let done = process::run(command);
    // Best effort: it is a file of a temporary folder.
    let _ = std::fs::remove_file(counters);
    done
}

/// If this program was called in the place of the compiler: calls it, with coverage for the crates that decode.
pub(crate) fn as_compiler() -> Option<ExitCode> {
    std::env::var_os(AS_COMPILER)?;
    let mut arguments = std::env::args_os().skip(1);
    let mut command = Command::new(arguments.next()?);
    let arguments: Vec<_> = arguments.collect();
    let names = arguments
        .windows(2)
        .filter(|pair| pair[0] == "--crate-name");
    let decodes = names
        .map(|pair| pair[1].to_string_lossy())
        .any(|name| COUNTED.contains(&&*name));
    command.args(arguments);
    if decodes {
        command.args([
            "-Cinstrument-coverage",
            "-Cllvm-args=-runtime-counter-relocation",
        ]);
    }
    let code = command.status().ok().and_then(|status| status.code());
    Some(ExitCode::from(
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1),
    ))
}
