//! A node: its namespaces, control group, container runtime, kubelet and service proxy.

use super::layout::{Layout, Node, text};
use super::parts::{Part, Starter};
use super::{cgroup, config, control_plane, namespace};

/// Makes `node` in namespaces below those of the control plane, which `control` holds, and starts its container runtime. Returns the
/// process that holds the node's namespaces.
pub(super) fn prepare(
    starter: &mut Starter,
    layout: &Layout,
    nodes: &[Node],
    node: &Node,
    control: u32,
) -> anyhow::Result<u32> {
    namespace::make_folders(node)?;
    let holder = namespace::open(starter, Some(control), namespace::holder(node))?;
    namespace::script(starter, control, &namespace::plug_script(node, holder))?;
    let lines = namespace::node_script(node, nodes) + &namespace::mount_script(node);
    namespace::script(starter, holder, &lines)?;
    cgroup::create(&node.control_group)?;
    configure(layout, node)?;
    starter.start(Some(holder), &containerd(node))?;
    Ok(holder)
}

/// Starts what makes it a node of Kubernetes. The API server's certificate must be there.
pub(super) fn join(
    starter: &mut Starter,
    layout: &Layout,
    node: &Node,
    holder: u32,
) -> anyhow::Result<()> {
    for part in [kubelet(layout, node), proxy(node)] {
        starter.start(Some(holder), &part)?;
    }
    Ok(())
}

fn configure(layout: &Layout, node: &Node) -> anyhow::Result<()> {
    let plugins = super::machine::plugins().unwrap_or_default();
    control_plane::write(
        &node.file("containerd.toml"),
        &config::containerd(node, plugins),
    )?;
    control_plane::write(&node.file("resolv.conf"), &config::resolv_conf())?;
    control_plane::write_json(&node.file("cni/10-dmq.conflist"), &config::cni(node))?;
    control_plane::write_json(&node.file("kubelet.yaml"), &config::kubelet(node))?;
    control_plane::write_json(&node.file("proxy.yaml"), &config::proxy(layout, node))
}

fn containerd(node: &Node) -> Part {
    let flags = ["--config".to_owned(), text(&node.file("containerd.toml"))];
    Part::new(format!("containerd-{}", node.name()), "containerd", &flags)
}

fn kubelet(layout: &Layout, node: &Node) -> Part {
    let flags = [
        format!("--config={}", text(&node.file("kubelet.yaml"))),
        format!(
            "--kubeconfig={}",
            text(&layout.component_config(&node.name()))
        ),
        format!("--hostname-override={}", node.name()),
        format!("--node-ip={}", node.address()),
        format!("--node-labels=topology.kubernetes.io/zone={}", node.zone()),
    ];
    Part::new(format!("kubelet-{}", node.name()), "kubelet", &flags)
}

fn proxy(node: &Node) -> Part {
    let flags = [format!("--config={}", text(&node.file("proxy.yaml")))];
    Part::new(format!("proxy-{}", node.name()), "kube-proxy", &flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelet_says_who_and_where_it_is() {
        let layout = Layout::of("dmq").unwrap();
        let part = kubelet(&layout, &layout.node(2));
        assert_eq!(part.name, "kubelet-node2");
        for word in [
            "--hostname-override=node2",
            "--node-ip=198.18.255.3",
            "--node-labels=topology.kubernetes.io/zone=b",
        ] {
            assert!(part.words.contains(&word.to_owned()), "{word}");
        }
    }
}
