//! The three Services: peers, ready members, the controller.

use std::collections::BTreeMap;

use dmq_crd::names::{self, MANAGEMENT_PORT, label};
use dmq_crd::{Service as ServiceSettings, ServiceType};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Desired;
use super::node::{MANAGEMENT, RAFT, REST};

impl Desired<'_> {
    /// `<name>-raft`: gives every pod a name. Unready ones too: peers must find each other before a quorum can make anybody ready.
    pub(super) fn raft_service(&self) -> Service {
        let ports = &self.cluster.spec.service;
        Service {
            metadata: self.meta(names::raft_service(self.name())),
            spec: Some(ServiceSpec {
                type_: Some("ClusterIP".to_owned()),
                cluster_ip: Some("None".to_owned()),
                publish_not_ready_addresses: Some(true),
                selector: Some(self.selector()),
                ports: Some(vec![
                    port(RAFT, ports.raft_port, "kubernetes.io/h2c"),
                    port(REST, ports.rest_port, "http"),
                    port(MANAGEMENT, MANAGEMENT_PORT, "http"),
                ]),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    /// `<name>`: any ready member; for readers, and for clients that follow a redirect.
    pub(super) fn client_service(&self) -> Service {
        let name = self.name().to_owned();
        self.rest_service(name, self.selector(), false)
    }

    /// `<name>-controller`: the pod that the operator labelled. Published even when it is not ready: a controller that
    /// leads can be written to.
    pub(super) fn controller_service(&self) -> Service {
        let mut selector = self.selector();
        selector.insert(label::CONTROLLER.to_owned(), "true".to_owned());
        self.rest_service(names::controller_service(self.name()), selector, true)
    }

    fn rest_service(
        &self,
        name: String,
        selector: BTreeMap<String, String>,
        unready: bool,
    ) -> Service {
        let settings = &self.cluster.spec.service;
        Service {
            metadata: ObjectMeta {
                annotations: annotations(settings),
                ..self.meta(name)
            },
            spec: Some(ServiceSpec {
                type_: Some(type_name(settings.type_).to_owned()),
                publish_not_ready_addresses: Some(unready),
                selector: Some(selector),
                ports: Some(vec![port(REST, settings.rest_port, "http")]),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }
}

fn annotations(settings: &ServiceSettings) -> Option<BTreeMap<String, String>> {
    Some(settings.annotations.clone()).filter(|all| !all.is_empty())
}

fn type_name(type_: ServiceType) -> &'static str {
    match type_ {
        ServiceType::ClusterIp => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    }
}

fn port(name: &str, number: u16, protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(number),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        app_protocol: Some(protocol.to_owned()),
        ..ServicePort::default()
    }
}
