//! The control plane: etcd, API server, controller manager, scheduler and DNS, each a process in the cluster's network.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

use super::config;
use super::layout::{Layout, Node, hex, text};
use super::parts::{Part, Starter};

/// Writes the folders, keys, tokens and kubeconfigs that everything else uses.
pub(super) fn prepare(layout: &Layout, nodes: &[Node]) -> anyhow::Result<()> {
    for folder in ["log", "pki", "etcd"] {
        fs::create_dir_all(layout.run.join(folder))?;
    }
    fs::create_dir_all(layout.volumes())?;
    fs::set_permissions(&layout.run, fs::Permissions::from_mode(0o711))?;
    account_key(layout)?;
    let accounts = config::accounts(nodes);
    for account in &accounts {
        let file = layout.component_config(&account.component);
        let token = secret()?;
        write_json(
            &file,
            &config::kubeconfig(layout, &config::inner_server(), &token),
        )?;
    }
    let token_of = |component: &str| read_token(layout, component).unwrap_or_default();
    write(&layout.tokens(), &config::token_file(&accounts, token_of))?;
    write(&layout.run.join("Corefile"), &config::corefile(layout))
}

/// The kubeconfig for users: the administrator's token, the port on this machine.
pub(super) fn write_user_config(layout: &Layout, port: u16) -> anyhow::Result<()> {
    let token = read_token(layout, "admin")?;
    let server = format!("https://127.0.0.1:{port}");
    write_json(
        &layout.kubeconfig(),
        &config::kubeconfig(layout, &server, &token),
    )
}

fn read_token(layout: &Layout, component: &str) -> anyhow::Result<String> {
    let file = layout.component_config(component);
    let config: Value = serde_json::from_slice(&fs::read(&file)?)?;
    let token = config["users"][0]["user"]["token"].as_str();
    token
        .map(str::to_owned)
        .with_context(|| format!("{} has no token", file.display()))
}

fn account_key(layout: &Layout) -> anyhow::Result<()> {
    let mut command = Command::new("openssl");
    command
        .args([
            "ecparam",
            "-name",
            "prime256v1",
            "-genkey",
            "-noout",
            "-out",
        ])
        .arg(layout.account_key());
    crate::process::output(command).map(drop)
}

/// 128 random bits as text.
fn secret() -> anyhow::Result<String> {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Writes a file that only its owner can read.
pub(super) fn write(path: &std::path::Path, content: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let file = options.open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a value as JSON.
pub(super) fn write_json(path: &std::path::Path, value: &Value) -> anyhow::Result<()> {
    write(path, &format!("{value:#}\n"))
}

/// What the API server needs, and itself.
pub(super) fn start_first(
    starter: &mut Starter,
    layout: &Layout,
    inside: u32,
) -> anyhow::Result<()> {
    for part in [etcd(layout), api_server(layout)] {
        starter.start(Some(inside), &part)?;
    }
    Ok(())
}

/// What needs the API server.
pub(super) fn start_rest(
    starter: &mut Starter,
    layout: &Layout,
    inside: u32,
) -> anyhow::Result<()> {
    for part in [
        controller_manager(layout),
        scheduler(layout),
        core_dns(layout),
    ] {
        starter.start(Some(inside), &part)?;
    }
    Ok(())
}

/// Its data is gone with the cluster, so it need not survive the machine.
fn etcd(layout: &Layout) -> Part {
    let flags = [
        format!("--data-dir={}", text(&layout.run.join("etcd"))),
        "--listen-client-urls=http://127.0.0.1:2379".to_owned(),
        "--advertise-client-urls=http://127.0.0.1:2379".to_owned(),
        "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
        "--unsafe-no-fsync".to_owned(),
        "--log-level=warn".to_owned(),
    ];
    Part::new("etcd", "etcd", &flags)
}

fn api_server(layout: &Layout) -> Part {
    Part::new("apiserver", "kube-apiserver", &config::api_server(layout))
}

fn controller_manager(layout: &Layout) -> Part {
    let mut flags = delegated(layout, "controller-manager");
    flags.extend([
        format!(
            "--service-account-private-key-file={}",
            text(&layout.account_key())
        ),
        "--use-service-account-credentials".to_owned(),
        format!("--root-ca-file={}", text(&layout.authority())),
    ]);
    Part::new("controller-manager", "kube-controller-manager", &flags)
}

fn scheduler(layout: &Layout) -> Part {
    Part::new(
        "scheduler",
        "kube-scheduler",
        &delegated(layout, "scheduler"),
    )
}

/// The flags of a component that acts through the API server and lets it decide who may ask it. There is only one of each,
/// so none waits for a lease.
fn delegated(layout: &Layout, component: &str) -> Vec<String> {
    let config = text(&layout.component_config(component));
    vec![
        format!("--kubeconfig={config}"),
        format!("--authentication-kubeconfig={config}"),
        format!("--authorization-kubeconfig={config}"),
        format!("--cert-dir={}", text(&layout.pki().join(component))),
        "--leader-elect=false".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

fn core_dns(layout: &Layout) -> Part {
    let flags = ["-conf".to_owned(), text(&layout.run.join("Corefile"))];
    Part::new("coredns", "coredns", &flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_act_as_themselves() {
        let layout = Layout::of("dmq").unwrap();
        let words = scheduler(&layout).words;
        assert_eq!(words[0], "kube-scheduler");
        assert!(words.iter().any(
            |word| word.starts_with("--kubeconfig=") && word.ends_with("scheduler.kubeconfig")
        ));
        assert!(words.contains(&"--leader-elect=false".to_owned()));
    }

    #[test]
    fn secrets_differ() {
        let (one, two) = (secret().unwrap(), secret().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }
}
