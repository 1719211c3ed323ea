//! What turns the packages' files into the root of a container: users, directories, the entry point, and how it is run.

use anyhow::Context as _;

use super::super::entry::{Kind, Owner, ROOT, Tree};
use super::super::oci::Run;
use super::merge::MERGED;
use super::packages::{MAJOR, Package};

/// The script that makes a database from the environment and starts the server.
pub(super) const ENTRYPOINT: &str = include_str!("docker-entrypoint.sh");

/// User and group of the official image.
const POSTGRES: Owner = Owner { uid: 999, gid: 999 };

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    postgres:x:999:999::/var/lib/postgresql:/bin/sh\n\
    nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";

const GROUP: &str = "root:x:0:\npostgres:x:999:\nnogroup:x:65534:\n";

/// Completes the tree of the packages.
pub(super) fn complete(tree: &mut Tree) -> anyhow::Result<()> {
    for folder in MERGED {
        tree.link(folder, &format!("usr/{folder}"));
    }
    tree.link("usr/bin/sh", "dash");
    tree.link("var/run", "/run");
    tree.file("etc/passwd", 0o644, PASSWD.into());
    tree.file("etc/group", 0o644, GROUP.into());
    tree.file(
        "usr/local/bin/docker-entrypoint.sh",
        0o755,
        ENTRYPOINT.into(),
    );
    for path in [
        "etc",
        "docker-entrypoint-initdb.d",
        "run",
        "usr/local",
        "usr/local/bin",
    ] {
        tree.directory(path, 0o755, ROOT);
    }
    for path in ["tmp", "var/tmp"] {
        tree.directory(path, 0o1777, ROOT);
    }
    tree.directory("root", 0o700, ROOT);
    // Any user may keep data here, as in the official image.
    tree.directory("var/lib/postgresql", 0o1777, POSTGRES);
    tree.directory("var/lib/postgresql/data", 0o1777, POSTGRES);
    tree.directory("run/postgresql", 0o3777, POSTGRES);
    listen_everywhere(tree)
}

/// In a container, the address to listen on is the container's; the variables decide who may connect.
fn listen_everywhere(tree: &mut Tree) -> anyhow::Result<()> {
    let path = format!("usr/share/postgresql/{MAJOR}/postgresql.conf.sample");
    let entry = tree
        .get_mut(&path)
        .with_context(|| format!("the packages have no /{path}"))?;
    let Kind::File(contents) = &mut entry.kind else {
        anyhow::bail!("/{path} is no file");
    };
    let text = String::from_utf8(std::mem::take(contents))?;
    let (before, after) = text
        .split_once("#listen_addresses = 'localhost'")
        .with_context(|| format!("/{path} has no listen_addresses"))?;
    *contents = format!("{before}listen_addresses = '*'{after}").into_bytes();
    Ok(())
}

/// As the official image is run.
pub(super) fn run(packages: &[Package]) -> Run {
    let server = format!("postgresql-{MAJOR}");
    let version = packages
        .iter()
        .find(|package| package.name == server)
        .map_or("", |package| package.version.as_str());
    Run {
        environment: vec![
            format!(
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/{MAJOR}/bin"
            ),
            "LANG=C.UTF-8".to_owned(),
            format!("PG_MAJOR={MAJOR}"),
            format!("PG_VERSION={version}"),
            "PGDATA=/var/lib/postgresql/data".to_owned(),
        ],
        entrypoint: vec!["docker-entrypoint.sh".to_owned()],
        command: vec!["postgres".to_owned()],
        volumes: vec!["/var/lib/postgresql/data".to_owned()],
        ports: vec!["5432/tcp".to_owned()],
        stop_signal: Some("SIGINT".to_owned()),
        ..Run::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_listens_on_the_containers_address() {
        let mut tree = Tree::default();
        assert!(complete(&mut tree).is_err());
        let path = "usr/share/postgresql/15/postgresql.conf.sample";
        let sample = b"# a\n#listen_addresses = 'localhost'\t\t# what\nport".to_vec();
        tree.file(path, 0o644, sample);
        complete(&mut tree).unwrap();
        let expected = b"# a\nlisten_addresses = '*'\t\t# what\nport".to_vec();
        assert_eq!(tree.get(path).unwrap().kind, Kind::File(expected));
        assert_eq!(tree.get("bin").unwrap().kind, Kind::Link("usr/bin".into()));
    }

    #[test]
    fn the_version_is_that_of_the_server() {
        let package = Package {
            name: "postgresql-15".into(),
            version: "15.20-0+deb12u1".into(),
            file: String::new(),
        };
        let run = run(&[package]);
        assert!(
            run.environment
                .contains(&"PG_VERSION=15.20-0+deb12u1".to_owned())
        );
    }
}
