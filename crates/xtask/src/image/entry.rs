//! What lies in an image, and the layer made of it: a tar archive whose bytes depend on nothing but the contents.

use std::collections::BTreeMap;
use std::collections::btree_map;

use anyhow::Context as _;
use tar::{Builder, EntryType, Header};

/// A user and a group by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) uid: u64,
    pub(super) gid: u64,
}

/// Who owns what nobody else owns.
pub(super) const ROOT: Owner = Owner { uid: 0, gid: 0 };

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File(Vec<u8>),
    /// With the target as it is written in the link.
    Link(String),
}

/// One path of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Permissions with set-uid, set-gid and sticky bits.
    pub(super) mode: u32,
    pub(super) owner: Owner,
}

/// The contents of an image by path; paths are relative to the root and have no `.` in front.
#[derive(Debug, Default)]
pub(super) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Adds an entry; what was there before is replaced.
    pub(super) fn add(&mut self, path: &str, entry: Entry) {
        self.0.insert(path.trim_matches('/').to_owned(), entry);
    }

    /// Adds a file of root.
    pub(super) fn file(&mut self, path: &str, mode: u32, contents: Vec<u8>) {
        let kind = Kind::File(contents);
        self.add(
            path,
            Entry {
                kind,
                mode,
                owner: ROOT,
            },
        );
    }

    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &str, mode: u32, owner: Owner) {
        let kind = Kind::Directory;
        self.add(path, Entry { kind, mode, owner });
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) {
        let entry = Entry {
            kind: Kind::Link(target.to_owned()),
            mode: 0o777,
            owner: ROOT,
        };
        self.add(path, entry);
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    pub(super) fn get_mut(&mut self, path: &str) -> Option<&mut Entry> {
        self.0.get_mut(path)
    }

    pub(super) fn iter(&self) -> btree_map::Iter<'_, String, Entry> {
        self.0.iter()
    }

    /// The layer: entries in the order of their paths, times zero, owners by number.
    pub(super) fn layer(&self) -> anyhow::Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        for (path, entry) in self.iter() {
            append(&mut builder, path, entry).with_context(|| format!("/{path}"))?;
        }
        builder.into_inner().context("cannot end the layer")
    }
}

fn append(builder: &mut Builder<Vec<u8>>, path: &str, entry: &Entry) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.owner.uid);
    header.set_gid(entry.owner.gid);
    header.set_mtime(0);
    header.set_size(0);
    match &entry.kind {
        Kind::Directory => {
            header.set_entry_type(EntryType::Directory);
            builder.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Kind::File(contents) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(contents.len() as u64);
            builder.append_data(&mut header, path, contents.as_slice())
        }
        Kind::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            builder.append_link(&mut header, path, target)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.file("usr/bin/program", 0o755, b"bytes".to_vec());
        tree.directory("/tmp/", 0o1777, ROOT);
        tree.link("bin", "usr/bin");
        tree
    }

    #[test]
    fn a_layer_depends_on_its_contents_only() {
        let mut other_order = Tree::default();
        other_order.link("bin", "usr/bin");
        other_order.directory("tmp", 0o1777, ROOT);
        other_order.file("usr/bin/program", 0o755, b"bytes".to_vec());
        assert_eq!(sample().layer().unwrap(), other_order.layer().unwrap());
    }

    #[test]
    fn a_layer_is_read_back_as_it_was() {
        let layer = sample().layer().unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut contents = String::new();
            entry.read_to_string(&mut contents).unwrap();
            let link = entry.link_name().unwrap();
            let link = link.map(|link| link.to_string_lossy().into_owned());
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 0);
            found.push((path, header.mode().unwrap(), contents, link));
        }
        let text = str::to_owned;
        assert_eq!(
            found,
            [
                (text("bin"), 0o777, String::new(), Some(text("usr/bin"))),
                (text("tmp/"), 0o1777, String::new(), None),
                (text("usr/bin/program"), 0o755, text("bytes"), None),
            ]
        );
    }

    #[test]
    fn a_path_longer_than_a_tar_header_holds_is_kept() {
        let long = format!("usr/{}/file", "x".repeat(150));
        let mut tree = Tree::default();
        tree.file(&long, 0o644, b"x".to_vec());
        let layer = tree.layer().unwrap();
        let mut archive = tar::Archive::new(layer.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_string_lossy(), long);
    }
}
