//! One call of `kubectl` or `helm`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// Runs `kubectl` and returns what it printed; its complaint is the error.
pub fn kubectl(arguments: &[&str]) -> anyhow::Result<String> {
    success("kubectl", arguments, None)
}

/// Runs `kubectl`, which must fail, and returns its complaint.
pub fn kubectl_refused(arguments: &[&str]) -> anyhow::Result<String> {
    refused("kubectl", arguments, None)
}

/// Runs `helm` and returns what it printed; its complaint is the error.
pub fn helm(arguments: &[&str]) -> anyhow::Result<String> {
    success("helm", arguments, None)
}

/// An object, or a list, as JSON: `get(&["pod", "meta-0", "-n", "x"])`.
pub fn get(arguments: &[&str]) -> anyhow::Result<Value> {
    let arguments = [&["get", "-o", "json"], arguments].concat();
    serde_json::from_str(&kubectl(&arguments)?).context("kubectl printed no JSON")
}

/// Applies YAML as a user does: `kubectl apply -f -`.
pub fn apply(namespace: &str, yaml: &str) -> anyhow::Result<String> {
    success(
        "kubectl",
        &["apply", "-n", namespace, "-f", "-"],
        Some(yaml),
    )
}

/// Applies YAML that must be refused, and returns the complaint.
pub fn apply_refused(namespace: &str, yaml: &str) -> anyhow::Result<String> {
    refused(
        "kubectl",
        &["apply", "-n", namespace, "-f", "-"],
        Some(yaml),
    )
}

/// Runs `kubectl` with something to read.
pub(super) fn with_input(arguments: &[&str], input: &str) -> anyhow::Result<String> {
    success("kubectl", arguments, Some(input))
}

/// Asks for the eviction of a pod, as a drain does; the error is the refusal.
///
/// # Errors
/// What the API server says, for example that a disruption budget forbids it.
pub fn evict(namespace: &str, pod: &str) -> anyhow::Result<()> {
    let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}/eviction");
    let body = serde_json::json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": namespace},
    });
    with_input(&["create", "--raw", &path, "-f", "-"], &body.to_string()).map(drop)
}

/// Folder of a chart in this checkout.
pub fn chart(name: &str) -> String {
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    root.join("charts").join(name).display().to_string()
}

fn success(program: &str, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
    let output = run(program, arguments, input)?;
    if !output.status.success() {
        bail!(
            "`{program} {}`: {}",
            arguments.join(" "),
            text(&output.stderr)
        );
    }
    Ok(text(&output.stdout))
}

fn refused(program: &str, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
    let output = run(program, arguments, input)?;
    if output.status.success() {
        bail!(
            "`{program} {}` was not refused: {}",
            arguments.join(" "),
            text(&output.stdout)
        );
    }
    Ok(text(&output.stderr))
}

fn run(program: &str, arguments: &[&str], input: Option<&str>) -> anyhow::Result<Output> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{program}` cannot be started"))?;
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(input.as_bytes())?;
    }
    Ok(child.wait_with_output()?)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().to_owned()
}
