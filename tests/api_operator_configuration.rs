//! The file that the operator writes for the nodes of a pod is one that the nodes read: the goldens of its builders, given to
//! the real server. A key that is renamed on one side only is found here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use dmq_testkit::harness::server_binary;

const DATA_DIRECTORY: i32 = 3;
const USAGE: i32 = 2;

/// The files, one for each kind of object that the operator's own tests build.
fn files() -> anyhow::Result<Vec<PathBuf>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/operator/testdata/desired");
    let cases = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let file = |case: std::io::Result<std::fs::DirEntry>| Ok(case?.path().join("node.yaml"));
    cases.map(file).collect()
}

/// Runs the server in the last pod of a quorum of one or more, with the pod's paths moved to `root`.
fn run(command: &[&str], file: &Path, root: &Path) -> anyhow::Result<(i32, String)> {
    let flag = |key: &str, path: &str| format!("--{key}={}", root.join(path).display());
    let mut server = Command::new(server_binary()?);
    server.args(command).arg("--config").arg(file);
    server.arg(flag("dmq.kraft.raft.log-dir", "log"));
    server.env("DMQ_KRAFT_POD_INDEX", "0");
    if command.contains(&"serve") {
        std::fs::write(root.join("token"), "secret")?;
        server.arg(flag("auth.admin-token-file", "token"));
        let text = std::fs::read_to_string(file)?;
        if text.contains("password-file") {
            std::fs::write(root.join("password"), "secret")?;
            server.arg(flag("store.password-file", "password"));
            server.env("STORE_USER", "dmq");
        }
        if text.contains("sqlite:") {
            let url = format!("--store.url=sqlite:{}", root.join("metadata.db").display());
            server.arg(url);
        }
    }
    let output = server.output()?;
    let said = [output.stdout, output.stderr].concat();
    let code = output.status.code().context("ended by a signal")?;
    Ok((code, String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn a_node_reads_what_the_operator_writes() -> anyhow::Result<()> {
    let files = files()?;
    assert!(files.len() >= 6, "{files:?}");
    for file in files {
        let root = tempfile::tempdir()?;
        // Accepted as a whole, so that what is missing is only the directory, which `format` would have made.
        let (code, said) = run(&["serve"], &file, root.path())?;
        assert_eq!(code, DATA_DIRECTORY, "{}: {said}", file.display());
        let (code, said) = run(&["format", "--if-empty"], &file, root.path())?;
        assert_eq!(code, 0, "{}: {said}", file.display());
        assert!(root.path().join("log/node-1").is_dir(), "{said}");
        let (code, said) = run(&["format", "--if-empty"], &file, root.path())?;
        assert!(code == 0 && said.contains("unchanged"), "{said}");
    }
    Ok(())
}

#[test]
fn a_key_that_a_node_does_not_know_is_found() -> anyhow::Result<()> {
    let root = tempfile::tempdir()?;
    for file in files()? {
        let text = std::fs::read_to_string(&file)?;
        let broken = root.path().join("node.yaml");
        std::fs::write(&broken, text.replace("admin-token-file", "token-file"))?;
        let (code, said) = run(&["serve"], &broken, root.path())?;
        assert_eq!(code, USAGE, "{said}");
        assert!(said.contains("auth.token-file"), "{said}");
    }
    Ok(())
}
