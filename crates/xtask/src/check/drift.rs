//! Generated files against what generates them now: the `OpenAPI` document.

use std::process::Command;

use super::Verdict;
use crate::process;
use crate::workspace::{TEST_PROFILE, build_server, root};

const DOCUMENT: &str = "manifests/openapi.json";

pub(super) fn check() -> anyhow::Result<Verdict> {
    let committed = std::fs::read_to_string(root().join(DOCUMENT)).unwrap_or_default();
    if committed == generate()? {
        return Ok(Verdict::Passed);
    }
    Ok(Verdict::Failed(format!(
        "{DOCUMENT} is not what `dmq-metadata openapi` prints: `cargo xtask openapi --write`"
    )))
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
