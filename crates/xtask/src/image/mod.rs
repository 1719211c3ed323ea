//! `images`: the container images of this checkout as OCI archives, which a cluster loads without a registry.

mod binaries;
mod elf;
mod entry;
mod means;
mod oci;
mod ours;
mod postgres;
mod store;

pub(crate) use means::for_tests;

use std::path::PathBuf;

use anyhow::anyhow;

use crate::process::say;

/// An image in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The name by which pods ask for it: `registry/repository:tag`.
    pub(crate) reference: String,
    /// An OCI archive, loadable by `ctr images import`, `kind load image-archive` and `docker load`.
    pub(crate) path: PathBuf,
}

/// Every image that the tests' clusters need, in the order of their names; written only where contents changed.
pub(crate) fn all() -> anyhow::Result<Vec<Archive>> {
    let store = store::Store::open()?;
    let mut archives = std::thread::scope(|scope| {
        // PostgreSQL waits for downloads while our programs wait for the compiler.
        let postgres = scope.spawn(|| postgres::archive(&store));
        let mut archives = Vec::new();
        for image in ours::images()? {
            archives.push(store.keep(&image)?);
        }
        let postgres = postgres.join();
        archives.push(postgres.map_err(|_| anyhow!("putting PostgreSQL together panicked"))??);
        anyhow::Ok(archives)
    })?;
    archives.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(archives)
}

/// Builds all images and says where they are.
pub(crate) fn list() -> anyhow::Result<()> {
    for archive in all()? {
        let bytes = std::fs::metadata(&archive.path)?.len();
        say(&format!(
            "{:<45} {:>6} KiB  {}",
            archive.reference,
            bytes / 1024,
            archive.path.display()
        ));
    }
    Ok(())
}
