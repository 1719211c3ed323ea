//! What is created once and never written again: who the quorum is, its first voters, the token.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::Api;
use kube::{Resource, ResourceExt};
use uuid::Uuid;

use super::{Actor, creating};
use crate::desired::{parse_identity, parse_voters};
use crate::error::{Doing as _, Error};
use crate::observe::Token;
use crate::observed::{Identity, Latch, Voter};

impl Actor<'_> {
    pub(super) async fn create_identity(&self, identity: &Identity) -> Result<bool, Error> {
        let wanted = self.desired.identity_config_map(identity);
        let found = self.create_or_read(&wanted).await?;
        latched(&found, &parse_identity(Some(&found)), identity)
    }

    pub(super) async fn create_voters(&self, voters: &[Voter]) -> Result<bool, Error> {
        let wanted = self.desired.voters_config_map(voters);
        let found = self.create_or_read(&wanted).await?;
        latched(&found, &parse_voters(Some(&found)), &voters.to_vec())
    }

    /// A token that is there already is as good, if it is one.
    pub(super) async fn create_token(&self) -> Result<bool, Error> {
        let secret: Secret = self.desired.token_secret(&random_token());
        let found = self.create_or_read(&secret).await?;
        if Token::of(&found).is_some() {
            return Ok(true);
        }
        Err(Error::Unusable(format!(
            "Secret {} exists and its key `token` holds no token: delete the Secret, and it is made anew",
            found.name_any()
        )))
    }

    /// Creates it, or reads what somebody else, or an earlier self, has created in its place.
    async fn create_or_read<K>(&self, wanted: &K) -> Result<K, Error>
    where
        K: Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &self.key.namespace);
        let (kind, name) = (K::kind(&()), wanted.name_any());
        match api.create(&creating(), wanted).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => api
                .get(&name)
                .await
                .doing(format!("reading {kind} {name}, which exists already")),
            created => created.doing(format!("creating {kind} {name}")),
        }
    }
}

/// What is latched must be what was to be latched.
fn latched<T: PartialEq>(object: &ConfigMap, found: &Latch<T>, wanted: &T) -> Result<bool, Error> {
    match found {
        Latch::Set(value) if value == wanted => Ok(true),
        Latch::Unreadable(reason) => Err(Error::Latch(reason.clone())),
        Latch::Set(_) | Latch::Absent => Err(Error::Latch(format!(
            "ConfigMap {} was created by somebody else meanwhile and says something else",
            object.name_any()
        ))),
    }
}

/// 244 random bits from the operating system.
fn random_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
