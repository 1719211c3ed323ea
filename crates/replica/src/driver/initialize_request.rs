//! The body of an initialise request: its digest, and what can be checked without asking anybody.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::{InitializeRequest, MemberIdentity, PinDigest, RequestError};

impl InitializeRequest {
    /// SHA-256 of the canonical form: every voter pins this.
    pub fn digest(&self) -> PinDigest {
        let mut hash = Sha256::new();
        hash.update(b"dmq initialize 1\n");
        hash.update(format!("{}\n", self.cluster_id));
        hash.update(format!(
            "{} {:016x}\n",
            self.incarnation.number, self.incarnation.nonce
        ));
        for voter in &self.voters {
            hash.update(format!("{voter}\n"));
        }
        hash.finalize().into()
    }

    /// Checks what can be checked without asking anybody.
    pub(super) fn check(&self, me: &MemberIdentity) -> Result<(), RequestError> {
        if self.cluster_id != me.cluster_id {
            return Err(conflict(
                "clusterId",
                &self.cluster_id,
                "this node's",
                &me.cluster_id,
            ));
        }
        if self.incarnation != me.incarnation {
            let (named, own) = (self.incarnation.to_string(), me.incarnation.to_string());
            return Err(conflict("incarnation", &named, "this node's", &own));
        }
        if !matches!(self.voters.len(), 1 | 3 | 5 | 7) {
            let count = self.voters.len();
            return Err(RequestError::Invalid(format!(
                "voters has {count} members; a quorum has 1, 3, 5 or 7"
            )));
        }
        let nodes: BTreeSet<_> = self.voters.iter().map(|voter| voter.node).collect();
        if nodes.len() != self.voters.len() {
            return Err(RequestError::Invalid("voters names a node twice".into()));
        }
        match self.voters.first() {
            Some(lowest) if *lowest == me.member => Ok(()),
            Some(lowest) => Err(conflict(
                "voters",
                &lowest.to_string(),
                "the lowest voter must be the node that is asked, with its directory id",
                &me.member.to_string(),
            )),
            None => Ok(()),
        }
    }
}

fn conflict(field: &str, value: &str, rule: &str, own: &str) -> RequestError {
    RequestError::Conflict(format!("{field} is '{value}', {rule} is '{own}'"))
}
