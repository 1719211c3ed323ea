//! Puts the files of Debian packages into one tree, without their installation scripts and without what nobody reads in a container.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use tar::{Archive, EntryType};

use super::super::entry::{Entry, Kind, Owner, Tree};

/// Folders of the root that are links into `/usr` on today's Debian, though packages still name them.
pub(super) const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// What is not taken over: documentation, translations, headers, services of a whole machine, compiled queries.
const DROPPED: [&str; 16] = [
    "etc/cron",
    "etc/init.d/",
    "etc/pam.d/",
    "usr/include/",
    "usr/lib/systemd/",
    "usr/share/bash-completion/",
    "usr/share/bug/",
    "usr/share/doc/",
    "usr/share/doc-base/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
    "usr/share/perl5/",
    "usr/share/zoneinfo/right/",
    "var/lib/dpkg/",
];

/// The same for what lies in folders with a version or an architecture in their names.
const DROPPED_PARTS: [&str; 4] = ["/gconv/", "/bitcode/", "/llvmjit", "/postgresql/15/man/"];

/// Adds the files of the package `file`.
pub(super) fn add_package(tree: &mut Tree, file: &Path) -> anyhow::Result<()> {
    let mut child = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(file)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let stdout = child.stdout.take().context("dpkg-deb has no output")?;
    let added = add(tree, stdout);
    let status = child.wait()?;
    added.with_context(|| format!("{}", file.display()))?;
    ensure!(status.success(), "dpkg-deb failed on {}", file.display());
    Ok(())
}

fn add(tree: &mut Tree, mut from: impl Read) -> anyhow::Result<()> {
    for entry in Archive::new(&mut from).entries()? {
        let mut entry = entry?;
        let path = merged(&entry.path()?.to_string_lossy());
        if path.is_empty() || is_dropped(&path) {
            continue;
        }
        let header = entry.header();
        let owner = Owner {
            uid: header.uid()?,
            gid: header.gid()?,
        };
        let mode = header.mode()? & 0o7777;
        let target = entry.link_name()?;
        let target = target.map(|target| target.to_string_lossy().into_owned());
        let kind = match (entry.header().entry_type(), target) {
            (EntryType::Directory, _) if tree.get(&path).is_some() => continue,
            (EntryType::Directory, _) => Kind::Directory,
            (EntryType::Regular, _) => Kind::File(read(&mut entry)?),
            (EntryType::Symlink, Some(target)) => Kind::Link(target),
            (EntryType::Link, Some(target)) => copy(tree, &merged(&target))?,
            (other, _) => bail!("/{path} is of the type {other:?}"),
        };
        tree.add(&path, Entry { kind, mode, owner });
    }
    // The packer pads the archive; who writes into a closed pipe dies of it.
    std::io::copy(&mut from, &mut std::io::sink())?;
    Ok(())
}

fn read(entry: &mut impl Read) -> anyhow::Result<Vec<u8>> {
    let mut contents = Vec::new();
    entry.read_to_end(&mut contents)?;
    Ok(contents)
}

/// A second name of a file is a second file: layers stay simple, and there are few.
fn copy(tree: &Tree, target: &str) -> anyhow::Result<Kind> {
    match tree.get(target) {
        Some(entry) => Ok(entry.kind.clone()),
        None => bail!("a hard link to /{target}, which is not there"),
    }
}

/// The path from the root, as it is once `/bin`, `/lib` and their like are links.
fn merged(path: &str) -> String {
    let path = path.trim_start_matches("./").trim_matches('/');
    let first = path.split('/').next().unwrap_or(path);
    if MERGED.contains(&first) {
        format!("usr/{path}")
    } else {
        path.to_owned()
    }
}

fn is_dropped(path: &str) -> bool {
    let folder = format!("{path}/");
    DROPPED.iter().any(|start| folder.starts_with(start))
        || DROPPED_PARTS.iter().any(|part| folder.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_a_merged_root() {
        assert_eq!(merged("./bin/sh"), "usr/bin/sh");
        assert_eq!(
            merged("./lib/x86_64-linux-gnu/libc.so.6"),
            "usr/lib/x86_64-linux-gnu/libc.so.6"
        );
        assert_eq!(merged("./usr/bin/sed"), "usr/bin/sed");
        assert_eq!(merged("./"), "");
        assert_eq!(merged("./lib64/"), "usr/lib64");
    }

    #[test]
    fn documentation_goes_and_programs_stay() {
        assert!(is_dropped("usr/share/doc"));
        assert!(is_dropped("usr/share/doc/sed/copyright"));
        assert!(is_dropped(
            "usr/lib/postgresql/15/lib/bitcode/postgres.index.bc"
        ));
        assert!(is_dropped("usr/lib/postgresql/15/lib/llvmjit.so"));
        assert!(!is_dropped("usr/share/documents"));
        assert!(!is_dropped("usr/lib/postgresql/15/bin/postgres"));
    }

    #[test]
    fn a_package_is_read_with_its_links() {
        let mut package = Tree::default();
        package.file("bin/program", 0o4755, b"bytes".to_vec());
        package.file("usr/share/man/page", 0o644, b"page".to_vec());
        package.link("usr/bin/other", "program");
        let mut tree = Tree::default();
        add(&mut tree, package.layer().unwrap().as_slice()).unwrap();
        let paths: Vec<&str> = tree.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["usr/bin/other", "usr/bin/program"]);
        let program = tree.get("usr/bin/program").unwrap();
        assert_eq!(
            (program.mode, &program.kind),
            (0o4755, &Kind::File(b"bytes".to_vec()))
        );
    }

    #[test]
    fn a_hard_link_needs_its_target() {
        let mut tree = Tree::default();
        assert!(copy(&tree, "usr/bin/perl").is_err());
        tree.file("usr/bin/perl", 0o755, b"x".to_vec());
        assert_eq!(
            copy(&tree, "usr/bin/perl").unwrap(),
            Kind::File(b"x".to_vec())
        );
    }
}
