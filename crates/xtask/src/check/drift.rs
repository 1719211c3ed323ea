//! Generated files against what generates them now: the `OpenAPI` document, the custom resource definition, the charts.

use std::process::Command;

use super::{Verdict, verdict};
use crate::workspace::{TEST_PROFILE, build_server, root};
use crate::{charts, crds, mutants, process};

const DOCUMENT: &str = "manifests/openapi.json";

pub(super) fn check() -> anyhow::Result<Verdict> {
    let generated = [
        (DOCUMENT, generate()?, "openapi"),
        (crds::FILE, crds::generate()?, "crds"),
    ];
    let drifted = generated
        .into_iter()
        .filter(|(file, now, _)| {
            std::fs::read_to_string(root().join(file)).unwrap_or_default() != *now
        })
        .map(|(file, _, command)| (file.to_owned(), command));
    let charts = charts::drifted()?.into_iter().map(|file| (file, "charts"));
    let findings: Vec<String> = drifted
        .chain(charts)
        .map(|(file, command)| {
            format!("{file} is not what is generated now: `cargo xtask {command} --write`")
        })
        .collect();
    let findings: Vec<String> = findings.into_iter().chain(mutants::drifted()?).collect();
    Ok(verdict(&findings))
}

/// Prints the document, or writes the committed copy.
pub(crate) fn openapi(write: bool) -> anyhow::Result<()> {
    let document = generate()?;
    if !write {
        print!("{document}");
        return Ok(());
    }
    let path = root().join(DOCUMENT);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, document)?;
    Ok(())
}

fn generate() -> anyhow::Result<String> {
    let mut server = Command::new(build_server(TEST_PROFILE)?);
    server.arg("openapi");
    process::output(server)
}
