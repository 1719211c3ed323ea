//! Which Debian packages PostgreSQL needs, and how they get here: asked of apt as if nothing were installed, and not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::process;

/// The major version, which the image's tag, its paths and `PG_MAJOR` repeat.
pub(super) const MAJOR: &str = "15";

/// What a shell script and a server need; everything else follows from what these depend on.
const WANTED: [&str; 8] = [
    "base-files",
    "coreutils",
    "dash",
    "findutils",
    "grep",
    "libc-bin",
    "sed",
    "tzdata",
];

/// What packages depend on for their installation scripts or for the comfort of a whole machine, and the compiler of
/// queries, which PostgreSQL does without when it is not there. Perl's modules, told by their names, are left out too.
const LEFT_OUT: [&str; 38] = [
    "adduser",
    "debconf",
    "debianutils",
    "dpkg",
    "gcc-12-base",
    "init-system-helpers",
    "libaudit-common",
    "libbsd0",
    "libc-l10n",
    "libedit2",
    "libgdbm-compat4",
    "libgdbm6",
    "libllvm14",
    "libmd0",
    "libpam-modules",
    "libpam-modules-bin",
    "libperl5.36",
    "libsemanage-common",
    "libsemanage2",
    "libsepol2",
    "libz3-4",
    "locales",
    "lsb-base",
    "mawk",
    "openssl",
    "passwd",
    "perl",
    "perl-base",
    "perl-modules-5.36",
    "postgresql-client-common",
    "postgresql-common",
    "readline-common",
    "ssl-cert",
    "sensible-utils",
    "sysvinit-utils",
    "tar",
    "ucf",
    "usrmerge",
];

/// One package in one version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// As apt names the file.
    pub(super) file: String,
}

/// The packages of the image in the versions that this machine's package lists offer, by name.
pub(super) fn resolve() -> anyhow::Result<Vec<Package>> {
    let nothing = tempfile::NamedTempFile::new().context("no temporary file")?;
    let server = format!("postgresql-{MAJOR}");
    let mut apt = apt(nothing.path());
    apt.args([
        "--print-uris",
        "-y",
        "-qq",
        "--no-install-recommends",
        "install",
    ]);
    apt.arg(&server).args(WANTED);
    let printed = process::output(apt)?;
    let mut packages = Vec::new();
    for line in printed.lines().filter(|line| line.starts_with('\'')) {
        packages.push(package(line)?);
    }
    packages.retain(|package| !is_left_out(&package.name));
    packages.sort();
    ensure!(
        packages.iter().any(|package| package.name == server),
        "apt offers no package `{server}`"
    );
    Ok(packages)
}

/// Downloads the packages into `folder` and returns their files, in the same order.
pub(super) fn download(packages: &[Package], folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let nothing = tempfile::NamedTempFile::new().context("no temporary file")?;
    let mut apt = apt(nothing.path());
    apt.args(["-qq", "download"]).current_dir(folder);
    for package in packages {
        apt.arg(format!("{}={}", package.name, package.version));
    }
    process::output(apt)?;
    let files = packages.iter().map(|package| {
        let path = folder.join(&package.file);
        ensure!(path.is_file(), "apt did not bring {}", package.file);
        Ok(path)
    });
    files.collect()
}

/// An apt that believes that nothing is installed, and that leaves this machine's own state as it is.
fn apt(status: &Path) -> Command {
    let mut apt = Command::new("apt-get");
    apt.arg("-o")
        .arg(format!("Dir::State::status={}", status.display()))
        .args([
            "-o",
            "Dir::Cache::pkgcache=",
            "-o",
            "Dir::Cache::srcpkgcache=",
        ])
        .args(["-o", "APT::Sandbox::User=root"])
        .env("LC_ALL", "C");
    apt
}

fn is_left_out(name: &str) -> bool {
    LEFT_OUT.contains(&name) || name.ends_with("-perl")
}

/// `'<address>' <name>_<version>_<architecture>.deb <size> <checksum>`; a colon in the version is written `%3a`.
fn package(line: &str) -> anyhow::Result<Package> {
    let Some(file) = line.split_whitespace().nth(1) else {
        bail!("apt printed `{line}` instead of a package");
    };
    let mut parts = file.split('_');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(name), Some(version), Some(_)) => Ok(Package {
            name: name.to_owned(),
            version: version.replace("%3a", ":"),
            file: file.to_owned(),
        }),
        _ => bail!("`{file}` is no name of a Debian package's file"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_apt_names_a_package() {
        let line = "'http://x/y.deb' libcap2_1%3a2.66-4_amd64.deb 27708 SHA256:00";
        let expected = Package {
            name: "libcap2".into(),
            version: "1:2.66-4".into(),
            file: "libcap2_1%3a2.66-4_amd64.deb".into(),
        };
        assert_eq!(package(line).unwrap(), expected);
        assert!(package("'http://x/y.deb'").is_err());
        assert!(package("'http://x/y.deb' nonsense 1 2").is_err());
    }

    #[test]
    fn what_only_an_installation_needs_is_left_out() {
        assert!(is_left_out("libtext-glob-perl"));
        assert!(is_left_out("postgresql-common"));
        assert!(!is_left_out("postgresql-15"));
        assert!(!is_left_out("libaudit1"));
    }
}
