//! Reads image archives as Docker writes them and as `cargo xtask images` does, without using the code that made them.

mod docker;

pub use docker::Docker;

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// An image archive in memory.
#[derive(Debug)]
pub struct Archive {
    files: BTreeMap<String, Vec<u8>>,
    manifest: Value,
}

/// One path of an image, as its layers say it.
#[derive(Clone, PartialEq, Eq)]
pub struct Inside {
    /// Permissions, without the bits that some packers add for the kind of file.
    pub mode: u32,
    /// User and group by number.
    pub owner: (u64, u64),
    /// `None` for what is no regular file.
    pub contents: Option<Vec<u8>>,
}

/// A program is megabytes long; its length is what a person can read.
impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            mode,
            owner,
            contents,
        } = self;
        let bytes = contents.as_ref().map(Vec::len);
        write!(f, "{mode:o} {owner:?} {bytes:?} bytes")
    }
}

impl Archive {
    /// The archive of the image that `cargo xtask` has built under this reference.
    ///
    /// # Errors
    /// The variable `DMQ_TEST_IMAGES` is missing or does not name the image, or its file is no image archive.
    pub fn of(reference: &str) -> anyhow::Result<Self> {
        Self::read(&path_of(reference)?)
    }

    /// Reads an archive that holds one image.
    ///
    /// # Errors
    /// The file cannot be read, or has no `manifest.json` with exactly one image.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(file).entries()? {
            let mut entry = entry?;
            let name = entry.path()?.to_string_lossy().into_owned();
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents)?;
            files.insert(name, contents);
        }
        let manifest = files.get("manifest.json").context("no manifest.json")?;
        let manifest: Value = serde_json::from_slice(manifest)?;
        let images = manifest.as_array().map(Vec::len);
        ensure!(images == Some(1), "not one image but {images:?}");
        let manifest = manifest[0].clone();
        Ok(Self { files, manifest })
    }

    /// The names that the image goes by.
    pub fn names(&self) -> &Value {
        &self.manifest["RepoTags"]
    }

    /// The object `config` of the image's configuration: user, entry point, labels ...
    ///
    /// # Errors
    /// The manifest names no configuration, or it is not JSON.
    pub fn run(&self) -> anyhow::Result<Value> {
        let config = self.blob(&self.manifest["Config"])?;
        let config: Value = serde_json::from_slice(config)?;
        Ok(config["config"].clone())
    }

    /// Everything that lies in the image, later layers over earlier ones.
    ///
    /// # Errors
    /// A layer is missing or is no tar archive.
    pub fn contents(&self) -> anyhow::Result<BTreeMap<String, Inside>> {
        let mut found = BTreeMap::new();
        for layer in self.layers()? {
            for entry in tar::Archive::new(layer).entries()? {
                let mut entry = entry?;
                let path = entry.path()?.to_string_lossy().into_owned();
                let header = entry.header();
                let mut inside = Inside {
                    mode: header.mode()? & 0o7777,
                    owner: (header.uid()?, header.gid()?),
                    contents: None,
                };
                if header.entry_type().is_file() {
                    let mut contents = Vec::new();
                    entry.read_to_end(&mut contents)?;
                    inside.contents = Some(contents);
                }
                found.insert(path, inside);
            }
        }
        Ok(found)
    }

    /// Writes the image's contents into `folder` with their owners and permissions, which takes root.
    ///
    /// # Errors
    /// As `contents`, and what the file system says.
    pub fn unpack(&self, folder: &Path) -> anyhow::Result<()> {
        for layer in self.layers()? {
            let mut archive = tar::Archive::new(layer);
            archive.set_preserve_permissions(true);
            archive.set_preserve_ownerships(true);
            archive.unpack(folder)?;
        }
        Ok(())
    }

    fn layers(&self) -> anyhow::Result<Vec<&[u8]>> {
        let layers = self.manifest["Layers"].as_array().context("no layers")?;
        layers.iter().map(|layer| self.blob(layer)).collect()
    }

    fn blob(&self, name: &Value) -> anyhow::Result<&[u8]> {
        let name = name.as_str().context("a blob without a name")?;
        let blob = self.files.get(name);
        blob.map(Vec::as_slice)
            .with_context(|| format!("no {name}"))
    }
}

/// Where the archive of an image lies.
///
/// # Errors
/// The variable `DMQ_TEST_IMAGES` is missing or does not name the image.
pub fn path_of(reference: &str) -> anyhow::Result<PathBuf> {
    let images =
        std::env::var("DMQ_TEST_IMAGES").context("run this with `cargo xtask test image`")?;
    let images: Value = serde_json::from_str(&images)?;
    let path = images[reference].as_str();
    let path = path.with_context(|| format!("no image {reference} among {images}"))?;
    Ok(PathBuf::from(path))
}
