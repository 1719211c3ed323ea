//! When a cluster is ready: what a user may rely on right after `up`.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde_json::Value;

use super::kubectl::Kubectl;
use super::layout::{API_PORT, CONTROL_ADDRESS};
use super::namespace;

/// `true` once the API server takes connections; cheap, so it is asked first. Asked in the network that `control` holds.
pub(super) fn port_open(control: u32) -> anyhow::Result<bool> {
    namespace::inside(control, || {
        Ok(TcpStream::connect((CONTROL_ADDRESS, API_PORT)).is_ok())
    })
}

/// `true` once the API server says so itself.
pub(super) fn api(kubectl: &Kubectl) -> bool {
    kubectl
        .text("/readyz")
        .is_ok_and(|text| text.trim() == "ok")
}

/// `true` if this many nodes take pods.
pub(super) fn nodes(kubectl: &Kubectl, count: usize) -> bool {
    kubectl
        .get("/api/v1/nodes")
        .is_ok_and(|list| ready_nodes(&list) == count)
}

fn ready_nodes(list: &Value) -> usize {
    let nodes = list["items"].as_array().map_or(&[][..], Vec::as_slice);
    nodes.iter().filter(|node| takes_pods(node)).count()
}

/// Ready, and without the taint that is taken off a moment later.
fn takes_pods(node: &Value) -> bool {
    let conditions = node["status"]["conditions"].as_array();
    let ready = conditions.is_some_and(|conditions| {
        let is = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
        conditions.iter().any(is)
    });
    ready && node["spec"]["taints"].as_array().is_none_or(Vec::is_empty)
}

/// `true` once pods can be created in the namespace `default`: the controller manager has given it an account.
pub(super) fn account(kubectl: &Kubectl) -> bool {
    kubectl
        .text("/api/v1/namespaces/default/serviceaccounts/default")
        .is_ok()
}

/// `true` once the name of the API server's service has an address, asked in the network that `control` holds.
pub(super) fn names(control: u32) -> anyhow::Result<bool> {
    namespace::inside(
        control,
        || Ok(ask().is_ok_and(|answer| has_answer(&answer))),
    )
}

/// A question for the address of `kubernetes.default.svc.cluster.local` (RFC 1035, section 4).
fn question() -> Vec<u8> {
    let mut message = vec![0x44, 0x4d, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["kubernetes", "default", "svc", "cluster", "local"] {
        message.push(u8::try_from(label.len()).unwrap_or_default());
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

fn ask() -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((CONTROL_ADDRESS, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    socket.connect((CONTROL_ADDRESS, 53))?;
    socket.send(&question())?;
    let mut answer = vec![0_u8; 512];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// No error code (the lowest four bits), and at least one record.
fn has_answer(message: &[u8]) -> bool {
    matches!(message, [0x44, 0x4d, _, flags, _, _, high, low, ..]
        if flags.trailing_zeros() >= 4 && (*high, *low) != (0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_counts_when_it_is_ready_and_has_no_taint() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        let taint = json!([{"key": "node.kubernetes.io/not-ready"}]);
        let list = json!({"items": [
            {"status": {"conditions": ready}, "spec": {}},
            {"status": {"conditions": ready}, "spec": {"taints": taint}},
            {"status": {"conditions": [{"type": "Ready", "status": "False"}]}, "spec": {}},
        ]});
        assert_eq!(ready_nodes(&list), 1);
    }

    #[test]
    fn an_answer_has_a_record_and_no_error() {
        let mut message = question();
        assert!(!has_answer(&message), "the question itself");
        message[7] = 1;
        assert!(has_answer(&message));
        message[3] = 3;
        assert!(!has_answer(&message), "no such name");
    }
}
