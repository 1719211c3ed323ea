//! The folder of finished images. A file's name holds the digest of its contents, so that several checkouts can share it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use super::Archive;
use super::oci::{self, Run};
use crate::workspace::cache;

/// How long an image that was replaced stays: another checkout may be about to load it.
const KEPT: Duration = Duration::from_hours(24);

/// An image that is ready to be packed.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) reference: String,
    pub(super) run: Run,
    /// The tar archive of its only layer.
    pub(super) layer: Vec<u8>,
}

impl Image {
    /// The bytes of its archive.
    pub(super) fn archive(&self) -> anyhow::Result<Vec<u8>> {
        oci::archive(&self.reference, &self.run, &self.layer)
    }
}

/// The folder.
pub(super) struct Store {
    folder: PathBuf,
}

impl Store {
    pub(super) fn open() -> anyhow::Result<Self> {
        Self::at(&cache()?.join("images"))
    }

    fn at(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_path_buf(),
        })
    }

    /// Writes the image, unless a file with these contents is there.
    pub(super) fn keep(&self, image: &Image) -> anyhow::Result<Archive> {
        let bytes = image.archive()?;
        let key = oci::hex(&bytes);
        self.write(&image.reference, &key, &bytes)
    }

    /// The file of an image whose contents `key` stands for, if it is there.
    pub(super) fn find(&self, reference: &str, key: &str) -> Option<Archive> {
        let path = self.path(reference, key);
        path.is_file().then(|| Archive {
            reference: reference.to_owned(),
            path,
        })
    }

    /// Writes a packed image under the key that its contents depend on, and drops those that it replaces.
    pub(super) fn write(
        &self,
        reference: &str,
        key: &str,
        bytes: &[u8],
    ) -> anyhow::Result<Archive> {
        if let Some(archive) = self.find(reference, key) {
            return Ok(archive);
        }
        let path = self.path(reference, key);
        let file = tempfile::NamedTempFile::new_in(&self.folder)?;
        std::fs::write(file.path(), bytes)?;
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644))?;
        file.persist(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.drop_old(reference, &path);
        let reference = reference.to_owned();
        Ok(Archive { reference, path })
    }

    fn path(&self, reference: &str, key: &str) -> PathBuf {
        let short = key.get(..16).unwrap_or(key);
        self.folder.join(format!("{}-{short}.tar", stem(reference)))
    }

    /// A file that cannot be removed is only in the way of the disk.
    fn drop_old(&self, reference: &str, current: &Path) {
        let prefix = format!("{}-", stem(reference));
        let files = std::fs::read_dir(&self.folder).into_iter().flatten();
        for file in files.flatten() {
            let name = file.file_name();
            let mine = name.to_string_lossy().starts_with(&prefix);
            let old = file
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|time| time.elapsed().is_ok_and(|age| age > KEPT));
            if mine && old && file.path() != current {
                let _ = std::fs::remove_file(file.path());
            }
        }
    }
}

/// `ghcr.io/dmq-io/dmq-metadata:0.1.0` is `dmq-metadata_0.1.0`.
fn stem(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    name.replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(layer: &[u8]) -> Image {
        Image {
            reference: "ghcr.io/dmq-io/x:1".into(),
            run: Run::default(),
            layer: layer.to_vec(),
        }
    }

    #[test]
    fn the_same_contents_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path()).unwrap();
        let first = store.keep(&image(b"a")).unwrap();
        let written = std::fs::metadata(&first.path).unwrap().modified().unwrap();
        let second = store.keep(&image(b"a")).unwrap();
        assert_eq!(first, second);
        let now = std::fs::metadata(&first.path).unwrap().modified().unwrap();
        assert_eq!(written, now);
        assert_ne!(store.keep(&image(b"b")).unwrap().path, first.path);
    }

    #[test]
    fn a_replaced_image_goes_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path()).unwrap();
        let old = store.keep(&image(b"a")).unwrap();
        let fresh = store.keep(&image(b"b")).unwrap();
        let other = folder.path().join("x_11-0123456789abcdef.tar");
        std::fs::write(&other, "another tag").unwrap();
        for path in [&old.path, &other] {
            let file = std::fs::File::open(path).unwrap();
            let long_ago = std::time::SystemTime::now() - 2 * KEPT;
            file.set_modified(long_ago).unwrap();
        }
        let newest = store.keep(&image(b"c")).unwrap();
        assert!(!old.path.exists());
        assert!(fresh.path.exists() && newest.path.exists() && other.exists());
    }
}
