//! What is read from Kubernetes, in two rounds: by name and label, then what the first round made known.

use std::collections::BTreeMap;

use dmq_crd::names;
use dmq_crd::{DmqMetadataCluster, DmqMetadataClusterSpec};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, NamespaceResourceScope, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::children::{Children, listed_kinds, selector};
use super::secrets::{complaint, wanted};
use super::token::Token;
use crate::desired::Child;
use crate::error::{Doing as _, Error};
use crate::key::Key;
use crate::observed::Claim;

/// The first history; later ones are made by recovery and restore.
const FIRST: u64 = 1;

/// Reads what belongs to one object.
pub(super) struct Reader<'a> {
    client: &'a Client,
    key: &'a Key,
}

/// What the first round shows.
#[derive(Debug)]
pub(super) struct FirstReads {
    pub(super) cluster: DmqMetadataCluster,
    pub(super) identity: Option<ConfigMap>,
    pub(super) voters: Option<ConfigMap>,
    pub(super) token: Option<Token>,
    pub(super) stateful_set: Option<StatefulSet>,
    pub(super) pods: Vec<Pod>,
    pub(super) claims: Vec<PersistentVolumeClaim>,
    pub(super) children: Children,
}

impl<'a> Reader<'a> {
    pub(super) fn new(client: &'a Client, key: &'a Key) -> Self {
        Self { client, key }
    }

    /// The object and what is found by its name and labels; `None` without the object.
    pub(super) async fn first(&self) -> Result<Option<FirstReads>, Error> {
        let name = &self.key.name;
        let (identity, voters) = (names::identity(name, FIRST), names::voters(name, FIRST));
        let (set, token) = (names::stateful_set(name), names::operator_token(name));
        let (cluster, identity, voters, token, stateful_set, pods, claims, mut children) = tokio::try_join!(
            self.get::<DmqMetadataCluster>(name),
            self.get::<ConfigMap>(&identity),
            self.get::<ConfigMap>(&voters),
            self.get::<Secret>(&token),
            self.get::<StatefulSet>(&set),
            self.list::<Pod>(),
            self.list::<PersistentVolumeClaim>(),
            self.listed_children(),
        )?;
        let Some(cluster) = cluster else {
            return Ok(None);
        };
        if let Some(set) = &stateful_set {
            children.insert("StatefulSet", set.metadata.clone());
        }
        if let Some(secret) = &token {
            children.insert("Secret", secret.metadata.clone());
        }
        Ok(Some(FirstReads {
            cluster,
            identity,
            voters,
            token: token.as_ref().and_then(Token::of),
            stateful_set,
            pods,
            claims,
            children,
        }))
    }

    /// Adds children that are wanted and were not in the lists: either they do not exist, or somebody else made them.
    pub(super) async fn with_unlisted(
        &self,
        mut children: Children,
        wanted: &[Child],
    ) -> Result<Children, Error> {
        let unlisted = wanted
            .iter()
            .filter(|child| children.get(&child.resource.kind, &child.name).is_none());
        let found = try_join_all(unlisted.map(|child| async move {
            let found = self
                .dynamic(&child.resource)
                .get_metadata_opt(&child.name)
                .await
                .doing(format!("reading {} {}", child.resource.kind, child.name))?;
            Ok::<_, Error>(found.map(|found| (child.resource.kind.clone(), found.metadata)))
        }))
        .await?;
        for (kind, meta) in found.into_iter().flatten() {
            children.insert(&kind, meta);
        }
        Ok(children)
    }

    /// Notes of claims that wait whether their class exists. Without the right to look it counts as existing.
    pub(super) async fn with_classes(
        &self,
        mut claims: BTreeMap<(String, i32), Claim>,
    ) -> BTreeMap<(String, i32), Claim> {
        let classes: Api<StorageClass> = Api::all(self.client.clone());
        let mut known: BTreeMap<String, bool> = BTreeMap::new();
        for claim in claims.values_mut().filter(|claim| !claim.bound) {
            let Some(class) = claim
                .storage_class
                .clone()
                .filter(|class| !class.is_empty())
            else {
                continue;
            };
            let missing = match known.get(&class) {
                Some(missing) => *missing,
                None => matches!(classes.get_metadata_opt(&class).await, Ok(None)),
            };
            known.insert(class, missing);
            claim.class_missing = missing;
        }
        claims
    }

    /// What is wrong with the Secrets that the spec names, by field.
    pub(super) async fn missing_secrets(
        &self,
        spec: &DmqMetadataClusterSpec,
    ) -> Result<Vec<(String, String)>, Error> {
        let complaints = try_join_all(wanted(spec).into_iter().map(|wanted| async move {
            let found = self.get::<Secret>(&wanted.name).await?;
            let complaint = complaint(&wanted, found.as_ref());
            Ok::<_, Error>(complaint.map(|text| (wanted.field.to_owned(), text)))
        }));
        Ok(complaints.await?.into_iter().flatten().collect())
    }

    async fn listed_children(&self) -> Result<Children, Error> {
        let lists = try_join_all(listed_kinds().map(|kind| async move {
            let found = self.dynamic(&kind).list_metadata(&self.ours()).await;
            let found = found.doing(format!("listing {}", kind.plural))?;
            Ok::<_, Error>((kind, found.items))
        }));
        let mut children = Children::default();
        for (kind, items) in lists.await? {
            for item in items {
                let PartialObjectMeta { metadata, .. } = item;
                children.insert(&kind.kind, metadata);
            }
        }
        Ok(children)
    }

    async fn get<K>(&self, name: &str) -> Result<Option<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let found = self.api::<K>().get_opt(name).await;
        found.doing(format!("reading {} {name}", K::kind(&())))
    }

    async fn list<K>(&self) -> Result<Vec<K>, Error>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let found = self.api::<K>().list(&self.ours()).await;
        Ok(found.doing(format!("listing {}", K::plural(&())))?.items)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.key.namespace)
    }

    fn dynamic(&self, kind: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.key.namespace, kind)
    }

    fn ours(&self) -> ListParams {
        ListParams::default().labels(&selector(&self.key.name))
    }
}
