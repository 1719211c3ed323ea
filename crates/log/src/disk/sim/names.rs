//! Directories of a simulated disk.

use std::io;
use std::path::{Path, PathBuf};

use super::fault::Operation;
use super::state::{Change, Content, FileId, Names, Node, State};
use crate::disk::{Access, DirEntry, parent};

impl State {
    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::Dir) => return Ok(()),
            Some(Node::File(_)) => return Err(io::ErrorKind::AlreadyExists.into()),
            None => {}
        }
        self.change_names(path, vec![(path.into(), Some(Node::Dir))])
    }

    pub(super) fn list(&self, dir: &Path) -> io::Result<Vec<DirEntry>> {
        self.check_power()?;
        self.check_dir(dir)?;
        let inside = self
            .names
            .iter()
            .filter(|(path, _)| path.parent() == Some(dir));
        let entry = |(path, node): (&PathBuf, &Node)| DirEntry {
            name: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            is_dir: *node == Node::Dir,
        };
        Ok(inside.map(entry).collect())
    }

    pub(super) fn open(&mut self, path: &Path, access: Access) -> io::Result<FileId> {
        self.check_power()?;
        match (self.names.get(path), access) {
            (Some(Node::File(_)), Access::Create) => Err(io::ErrorKind::AlreadyExists.into()),
            (Some(Node::File(id)), _) => Ok(*id),
            (Some(Node::Dir), _) => Err(io::ErrorKind::IsADirectory.into()),
            (None, Access::Create) => self.create(path),
            (None, _) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn create(&mut self, path: &Path) -> io::Result<FileId> {
        let id = self.next_file;
        self.change_names(path, vec![(path.into(), Some(Node::File(id)))])?;
        self.next_file += 1;
        self.files.insert(id, Content::default());
        Ok(id)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(
            from.parent(),
            to.parent(),
            "only renames within a directory are atomic"
        );
        let node = *self.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        if node == Node::Dir {
            return self.move_dir(from, to);
        }
        self.change_names(from, vec![(from.into(), None), (to.into(), Some(node))])
    }

    /// # Panics
    /// If names in the directory are not durable yet: what then becomes of them under which name is more than
    /// this disk keeps account of, and nothing should depend on it.
    fn move_dir(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inside = |change: &Change| {
            matches!(change, Change::Names { dir, .. } | Change::MoveDir { dir, .. }
                if dir.starts_with(from))
        };
        assert!(
            !self.unsynced.iter().any(inside),
            "{} is moved before its names are synced",
            from.display()
        );
        match self.names.get(to) {
            Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
            Some(Node::Dir) if self.names.keys().any(|name| name.parent() == Some(to)) => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Some(Node::Dir) | None => {}
        }
        self.begin_change(Operation::Name, from)?;
        move_names(&mut self.names, from, to);
        let (dir, from, to) = (parent(from).to_path_buf(), from.into(), to.into());
        self.unsynced.push(Change::MoveDir { dir, from, to });
        Ok(())
    }

    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        match self.names.get(path) {
            Some(Node::File(_)) => self.change_names(path, vec![(path.into(), None)]),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn change_names(&mut self, path: &Path, set: Vec<(PathBuf, Option<Node>)>) -> io::Result<()> {
        let dir = parent(path).to_path_buf();
        self.check_dir(&dir)?;
        self.begin_change(Operation::Name, path)?;
        for (path, node) in &set {
            set_name(&mut self.names, path, *node);
        }
        self.unsynced.push(Change::Names { dir, set });
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.check_dir(dir)?;
        self.begin_change(Operation::SyncDir, dir)?;
        self.count_sync();
        let is_here = |change: &Change| {
            matches!(change, Change::Names { dir: at, .. } | Change::MoveDir { dir: at, .. }
                if at == dir)
        };
        self.persist_matching(is_here);
        Ok(())
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        match self.names.get(dir) {
            Some(Node::Dir) => Ok(()),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The file that is locked now; `None` if another holder has it.
    pub(super) fn lock(&mut self, path: &Path) -> io::Result<Option<FileId>> {
        let id = match self.names.get(path) {
            None => self.open(path, Access::Create)?,
            Some(Node::File(id)) => *id,
            Some(Node::Dir) => return Err(io::ErrorKind::IsADirectory.into()),
        };
        self.check_power()?;
        Ok(self.locks.insert(id).then_some(id))
    }

    pub(super) fn is_locked(&self, path: &Path) -> bool {
        matches!(self.names.get(path), Some(Node::File(id)) if self.locks.contains(id))
    }
}

/// Gives a directory and all that is in it another name.
pub(super) fn move_names(names: &mut Names, from: &Path, to: &Path) {
    let moved: Vec<_> = names
        .extract_if(.., |path, _| path.starts_with(from))
        .collect();
    for (path, node) in moved {
        let inside = path.strip_prefix(from).unwrap_or(Path::new(""));
        // Joining nothing would leave a slash at the end.
        let path = if inside.as_os_str().is_empty() {
            to.to_path_buf()
        } else {
            to.join(inside)
        };
        names.insert(path, node);
    }
}

/// Gives a name, or takes it away.
pub(super) fn set_name(names: &mut Names, path: &Path, node: Option<Node>) {
    match node {
        Some(node) => names.insert(path.into(), node),
        None => names.remove(path),
    };
}
