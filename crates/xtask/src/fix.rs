//! `fix`: writes what `lint` only reports.

use crate::check::{self, Component};
use crate::workspace::cargo;
use crate::{charts, crds, process};

/// Format, clippy's own suggestions, and the generated files.
pub(crate) fn fix() -> anyhow::Result<()> {
    if Component::Clippy.is_here() {
        let suggestions = [
            "clippy",
            "--workspace",
            "--all-targets",
            "--fix",
            "--allow-dirty",
        ];
        process::run(cargo(&suggestions))?;
    }
    if Component::Rustfmt.is_here() {
        process::run(cargo(&["fmt", "--all"]))?;
    }
    check::drift::openapi(true)?;
    crds::crds(true)?;
    charts::renew()
}
