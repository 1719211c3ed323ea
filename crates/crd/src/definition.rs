//! The CRD as it is installed: what the types give, plus what derive macros cannot say.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::DmqMetadataCluster;

/// The definition, ready to be installed.
pub fn definition() -> CustomResourceDefinition {
    DmqMetadataCluster::crd()
}
