//! What protects the pods: PodDisruptionBudget and NetworkPolicies.

use std::collections::BTreeMap;

use dmq_crd::names;
use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Desired;
use super::node::{MANAGEMENT, RAFT, REST};

/// Label that Kubernetes gives every namespace.
const NAMESPACE_LABEL: &str = "kubernetes.io/metadata.name";

impl Desired<'_> {
    /// Lets as many pods be evicted as the quorum can lose. A single node has none: it would block every drain for good.
    pub(super) fn pod_disruption_budget(&self) -> Option<PodDisruptionBudget> {
        let members = self.cluster.spec.replicas;
        if !self.cluster.spec.pod_disruption_budget.enabled || members <= 1 {
            return None;
        }
        Some(PodDisruptionBudget {
            metadata: self.meta(names::pod_disruption_budget(self.name())),
            spec: Some(PodDisruptionBudgetSpec {
                min_available: Some(IntOrString::Int(min_available(members, members))),
                selector: Some(self.label_selector()),
                ..PodDisruptionBudgetSpec::default()
            }),
            status: None,
        })
    }

    /// One for the Raft port, one for the ports of everybody else. Together they are all that reaches a pod;
    /// the kubelet's probes come from the pod's own node, which a policy never shuts out.
    pub(super) fn network_policies(&self) -> Option<[NetworkPolicy; 2]> {
        if !self.cluster.spec.network_policy.enabled {
            return None;
        }
        Some([self.peers_policy(), self.clients_policy()])
    }

    fn peers_policy(&self) -> NetworkPolicy {
        let members = vec![self.members()];
        let name = names::peers_policy(self.name());
        self.policy(name, vec![rule(RAFT, Some(members))])
    }

    fn clients_policy(&self) -> NetworkPolicy {
        let settings = &self.cluster.spec.network_policy;
        let rules = vec![
            rule(REST, self.beside_ours(&settings.clients)),
            rule(MANAGEMENT, self.beside_ours(&settings.prometheus)),
        ];
        self.policy(names::clients_policy(self.name()), rules)
    }

    /// The peers of a spec and those without which the quorum would not be operated; none given: everybody.
    fn beside_ours(&self, given: &[NetworkPolicyPeer]) -> Option<Vec<NetworkPolicyPeer>> {
        if given.is_empty() {
            return None;
        }
        Some([&[self.members(), self.operator()], given].concat())
    }

    fn members(&self) -> NetworkPolicyPeer {
        NetworkPolicyPeer {
            pod_selector: Some(self.label_selector()),
            ..NetworkPolicyPeer::default()
        }
    }

    fn operator(&self) -> NetworkPolicyPeer {
        let namespace = self.settings.operator_namespace.clone();
        NetworkPolicyPeer {
            namespace_selector: Some(LabelSelector {
                match_labels: Some(BTreeMap::from([(NAMESPACE_LABEL.to_owned(), namespace)])),
                ..LabelSelector::default()
            }),
            ..NetworkPolicyPeer::default()
        }
    }

    fn policy(&self, name: String, ingress: Vec<NetworkPolicyIngressRule>) -> NetworkPolicy {
        NetworkPolicy {
            metadata: self.meta(name),
            spec: Some(NetworkPolicySpec {
                pod_selector: Some(self.label_selector()),
                policy_types: Some(vec!["Ingress".to_owned()]),
                ingress: Some(ingress),
                ..NetworkPolicySpec::default()
            }),
        }
    }
}

/// Pods that must stay: all but those voters that a majority can do without.
fn min_available(members: i32, voters: i32) -> i32 {
    let quorum = voters / 2 + 1;
    members - (voters - quorum)
}

fn rule(port: &str, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from,
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::String(port.to_owned())),
            protocol: Some("TCP".to_owned()),
            ..NetworkPolicyPort::default()
        }]),
    }
}

#[cfg(test)]
mod tests {
    use super::min_available;

    #[test]
    fn as_many_pods_may_go_as_a_majority_can_lose() {
        let budget = |members| min_available(members, members);
        assert_eq!([budget(3), budget(5), budget(7)], [2, 3, 4]);
        // A learner more changes nothing for the voters.
        assert_eq!(min_available(4, 3), 3);
    }
}
