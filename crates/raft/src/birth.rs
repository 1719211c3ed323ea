//! Birth of a quorum (DESIGN 6.1): the first voter set becomes entry 1 of term 1.

use crate::{
    AdminOutcome, AdminRefusal, Configuration, Effects, EntryId, EntryKind, HardState, Raft, Term,
};

impl Raft {
    pub(crate) fn initialize(&mut self, configuration: Configuration, fx: &mut Effects) {
        if let Some(refusal) = self.refusal_of_birth(&configuration) {
            fx.admin = Some(AdminOutcome::Refused(refusal));
            return;
        }
        self.set_hard_state(
            HardState {
                term: Term(1),
                vote: None,
            },
            fx,
        );
        let payload = configuration.encode();
        let index = self.append_own(EntryKind::Configuration, vec![payload], fx);
        self.configurations.append(index, configuration);
        fx.configuration = Some(self.configurations.active().clone());
        fx.admin = Some(AdminOutcome::Initialized);
    }

    /// Only a member that nobody has ever talked to gives birth: a term would mean that a quorum with
    /// this member in it exists.
    fn refusal_of_birth(&self, configuration: &Configuration) -> Option<AdminRefusal> {
        if self.log.last() != EntryId::ZERO || self.hard != HardState::default() {
            return Some(AdminRefusal::AlreadyInitialized);
        }
        if !configuration.is_voter(&self.config.id) {
            return Some(AdminRefusal::NotVoter);
        }
        configuration
            .validate()
            .is_err()
            .then_some(AdminRefusal::Invalid)
    }
}
