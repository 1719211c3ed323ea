//! The PostgreSQL image of the sidecar, put together from Debian's packages where no registry is reached.
//!
//! It stands in for the official image: the same user, paths, variables and entry point, so that a pod runs on either.

mod merge;
mod official;
mod packages;
mod rootfs;

use anyhow::Context as _;

use self::packages::Package;
use super::entry::Tree;
use super::store::{Image, Store};
use super::{Archive, oci};
use crate::apt;
use crate::process::say;

/// What decides the contents besides the packages. Whoever changes how the image is made gets a new image.
const RECIPE: [&str; 4] = [
    include_str!("merge.rs"),
    include_str!("mod.rs"),
    include_str!("packages.rs"),
    include_str!("rootfs.rs"),
];

/// The image, from packages if this machine's lists have them, else the official one by way of Docker.
pub(super) fn archive(store: &Store) -> anyhow::Result<Archive> {
    let reference = format!("docker.io/library/postgres:{}", packages::MAJOR);
    let assembled = assemble(store, &reference).or_else(|first| {
        // No lists yet, or lists that name packages which have been replaced since.
        apt::update().map_err(|_| first)?;
        assemble(store, &reference)
    });
    assembled.or_else(|why| {
        official::archive(store, &reference)
            .map_err(|docker| why.context(format!("{docker:#}; and not from packages")))
            .with_context(|| format!("no image {reference}"))
    })
}

fn assemble(store: &Store, reference: &str) -> anyhow::Result<Archive> {
    let packages = packages::resolve()?;
    let key = key(&packages);
    if let Some(archive) = store.find(reference, &key) {
        return Ok(archive);
    }
    say(&format!(
        "putting {reference} together from {} packages",
        packages.len()
    ));
    let image = Image {
        reference: reference.to_owned(),
        run: rootfs::run(&packages),
        layer: layer(&packages)?,
    };
    store.write(reference, &key, &image.archive()?)
}

fn layer(packages: &[Package]) -> anyhow::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let mut tree = Tree::default();
    for file in packages::download(packages, folder.path())? {
        merge::add_package(&mut tree, &file)?;
    }
    rootfs::complete(&mut tree)?;
    tree.layer()
}

fn key(packages: &[Package]) -> String {
    let mut text: Vec<&str> = packages.iter().map(|it| it.file.as_str()).collect();
    text.push(rootfs::ENTRYPOINT);
    text.extend(RECIPE);
    oci::hex(text.join("\n").as_bytes())
}
