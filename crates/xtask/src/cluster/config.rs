//! The configuration files of a cluster, as values. JSON is YAML, so every file is written by one function and nothing needs quoting.

use serde_json::{Value, json};

use super::layout::{API_PORT, CLUSTER_RANGE, CONTROL_ADDRESS, Layout, Node, SERVICE_RANGE, text};

/// Who talks to the API server: the name of the token's owner and, if needed, its group.
pub(super) struct Account {
    pub(super) component: String,
    user: String,
    group: &'static str,
}

/// The accounts of a cluster. A person at the keyboard and the name server are administrators.
pub(super) fn accounts(nodes: &[Node]) -> Vec<Account> {
    let account = |component: &str, user: &str, group: &'static str| Account {
        component: component.to_owned(),
        user: user.to_owned(),
        group,
    };
    let mut all = vec![
        account("admin", "kubernetes-admin", "system:masters"),
        account("coredns", "coredns", "system:masters"),
        account("controller-manager", "system:kube-controller-manager", ""),
        account("scheduler", "system:kube-scheduler", ""),
        account("proxy", "system:kube-proxy", ""),
    ];
    all.extend(nodes.iter().map(|node| {
        let name = node.name();
        account(&name, &format!("system:node:{name}"), "system:nodes")
    }));
    all
}

/// The API server's token file: token, user, id and group, a line each.
pub(super) fn token_file(accounts: &[Account], token: impl Fn(&str) -> String) -> String {
    let lines = accounts.iter().map(|account| {
        let Account {
            component,
            user,
            group,
        } = account;
        format!("{},{user},{component},\"{group}\"\n", token(component))
    });
    lines.collect()
}

/// A kubeconfig. The certificate names the service, not the address that a client happens to use.
pub(super) fn kubeconfig(layout: &Layout, server: &str, token: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "dmq", "cluster": {
            "server": server,
            "certificate-authority": text(&layout.authority()),
            "tls-server-name": "kubernetes.default.svc",
        }}],
        "users": [{"name": "dmq", "user": {"token": token}}],
        "contexts": [{"name": "dmq", "context": {"cluster": "dmq", "user": "dmq"}}],
        "current-context": "dmq",
    })
}

/// The API server's address for what runs inside of the cluster's network.
pub(super) fn inner_server() -> String {
    format!("https://{CONTROL_ADDRESS}:{API_PORT}")
}

/// Two servers, since a plugin that answers everything would come before the one that knows the cluster's names.
pub(super) fn corefile(layout: &Layout) -> String {
    let config = text(&layout.component_config("coredns"));
    format!(
        "cluster.local:53 in-addr.arpa:53 {{\n  bind {CONTROL_ADDRESS}\n  errors\n  \
         kubernetes cluster.local in-addr.arpa {{\n    kubeconfig \"{config}\" dmq\n    ttl 0\n  }}\n}}\n\
         .:53 {{\n  bind {CONTROL_ADDRESS}\n  template ANY ANY . {{\n    rcode NXDOMAIN\n  }}\n}}\n"
    )
}

/// A node's container runtime. `restrict_oom_score_adj`: without `CAP_SYS_RESOURCE`, runc fails where it would lower that score.
pub(super) fn containerd(node: &Node, plugins: &str) -> String {
    let (root, cni) = (node.file("containerd"), node.file("cni"));
    format!(
        r#"version = 2
root = "{root}"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{cni}"

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"#,
        root = text(&root),
        cni = text(&cni),
    )
}

/// A node's pod network. Every pod has a link of its own, so that answers of a service pass the node even between two of its pods.
pub(super) fn cni(node: &Node) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "dmq",
        "plugins": [
            {"type": "ptp", "mtu": 1500, "ipMasq": false, "ipam": {
                "type": "host-local",
                "dataDir": "/var/lib/cni/addresses",
                "ranges": [[{"subnet": node.pods()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            }},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// A node's kubelet. It never evicts for want of disk and never removes an image, since none could be fetched again.
pub(super) fn kubelet(node: &Node) -> Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": node.control_group,
        "clusterDNS": [CONTROL_ADDRESS],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "enforceNodeAllocatable": [],
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "resolvConf": text(&node.file("resolv.conf")),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
    })
}

/// What a pod without cluster DNS would use.
pub(super) fn resolv_conf() -> String {
    format!("nameserver {CONTROL_ADDRESS}\n")
}

/// A node's service proxy. It leaves the machine's connection tracking as it is.
pub(super) fn proxy(layout: &Layout, node: &Node) -> Value {
    json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": text(&layout.component_config("proxy"))},
        "clusterCIDR": CLUSTER_RANGE,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "hostnameOverride": node.name(),
    })
}

/// An object and the collection that it is created in.
pub(super) struct Object {
    pub(super) collection: &'static str,
    pub(super) body: Value,
}

/// What every cluster has from the start: the right of kube-proxy to see the nodes, and the default storage class.
pub(super) fn first_objects() -> [Object; 2] {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "dmq-local-proxy"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:node-proxier"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "system:kube-proxy"}],
    });
    let class = json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": "standard",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": super::provisioner::NAME,
        "reclaimPolicy": "Delete",
        // Every node sees every volume, so there is nothing to wait for.
        "volumeBindingMode": "Immediate",
    });
    [
        Object {
            collection: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            body: binding,
        },
        Object {
            collection: "/apis/storage.k8s.io/v1/storageclasses",
            body: class,
        },
    ]
}

/// The flags of the API server.
pub(super) fn api_server(layout: &Layout) -> Vec<String> {
    let key = text(&layout.account_key());
    vec![
        "--etcd-servers=http://127.0.0.1:2379".to_owned(),
        format!("--cert-dir={}", text(&layout.pki())),
        format!("--secure-port={API_PORT}"),
        "--bind-address=0.0.0.0".to_owned(),
        format!("--advertise-address={CONTROL_ADDRESS}"),
        format!("--service-account-key-file={key}"),
        format!("--service-account-signing-key-file={key}"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-cluster-ip-range={SERVICE_RANGE}"),
        format!("--token-auth-file={}", text(&layout.tokens())),
        "--authorization-mode=Node,RBAC".to_owned(),
        "--enable-admission-plugins=NodeRestriction".to_owned(),
        "--allow-privileged".to_owned(),
        "--kubelet-preferred-address-types=InternalIP".to_owned(),
        "--profiling=false".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> Layout {
        let mut layout = Layout::of("dmq").unwrap();
        layout.run = "/c/dmq".into();
        layout
    }

    #[test]
    fn every_node_has_an_account_that_only_speaks_for_itself() {
        let layout = layout();
        let accounts = accounts(&[layout.node(1), layout.node(2)]);
        let file = token_file(&accounts, |component| format!("t-{component}"));
        assert!(file.contains("t-node2,system:node:node2,node2,\"system:nodes\"\n"));
        assert!(file.contains("t-proxy,system:kube-proxy,proxy,\"\"\n"));
    }

    #[test]
    fn the_kubelet_lives_in_its_own_control_group_and_keeps_images() {
        let config = kubelet(&layout().node(3));
        assert_eq!(config["cgroupRoot"], "/dmq-dmq/node3");
        assert_eq!(config["imageGCHighThresholdPercent"], 100);
        assert_eq!(config["clusterDNS"][0], CONTROL_ADDRESS);
    }

    #[test]
    fn a_users_kubeconfig_names_the_forwarded_port_and_checks_the_certificate() {
        let config = kubeconfig(&layout(), "https://127.0.0.1:4711", "secret");
        let cluster = &config["clusters"][0]["cluster"];
        assert_eq!(cluster["server"], "https://127.0.0.1:4711");
        assert_eq!(cluster["tls-server-name"], "kubernetes.default.svc");
        assert!(cluster.get("insecure-skip-tls-verify").is_none());
    }

    #[test]
    fn unknown_names_do_not_exist_and_the_clusters_names_are_asked_first() {
        let file = corefile(&layout());
        assert!(file.starts_with("cluster.local:53"));
        assert!(file.contains("rcode NXDOMAIN"));
    }
}
