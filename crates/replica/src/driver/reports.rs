//! The shared table of members: state hashes, supported feature levels, projection health; and the
//! judgement of divergence (DESIGN 6.8).

use std::collections::BTreeMap;

use dmq_metadata::{FeatureLevel, StateHash};
use dmq_raft::{Configuration, LogIndex, MemberId};

use crate::mutant;
use crate::{HashNote, MemberReport, ReportRow};

/// How many hash notes each member keeps and reports.
const HASH_NOTES_KEPT: usize = 8;
/// Rows beyond which those of strangers are forgotten: directories that were wiped, and whoever else said hello. Some
/// strangers are kept, for a node is met before it becomes a member.
const ROWS_KEPT: usize = 64;

/// What members have told about themselves, this one's own row included.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    own: MemberId,
    rows: BTreeMap<MemberId, ReportRow>,
}

/// What the table says about divergence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nobody differs.
    Agreed,
    /// Members differ at this index and no hash has more than half of the voters.
    Diverged(LogIndex),
    /// More than half of the voters agree on one hash, and these members have another.
    Corrupt {
        /// Where.
        index: LogIndex,
        /// Who.
        members: Vec<MemberId>,
    },
}

impl Reports {
    /// A table with only this member's own row.
    pub(super) fn new(own: MemberId, features: (FeatureLevel, FeatureLevel)) -> Self {
        let row = ReportRow {
            member: own,
            hashes: Vec::new(),
            features,
            projection_healthy: false,
        };
        Self {
            own,
            rows: BTreeMap::from([(own, row)]),
        }
    }

    /// Notes this member's own hash; the newest eight are kept.
    pub(super) fn note(&mut self, note: HashNote) {
        if let Some(row) = self.rows.get_mut(&self.own) {
            row.hashes.push(note);
            let excess = row.hashes.len().saturating_sub(HASH_NOTES_KEPT);
            row.hashes.drain(..excess);
        }
    }

    /// Notes this member's own projection. Returns whether that is news.
    pub(super) fn note_projection(&mut self, healthy: bool) -> bool {
        let Some(row) = self.rows.get_mut(&self.own) else {
            return false;
        };
        std::mem::replace(&mut row.projection_healthy, healthy) != healthy
    }

    /// Takes a report: any row from the leader, only the sender's own from others.
    pub(super) fn merge(&mut self, report: MemberReport, from_leader: bool) {
        for mut row in report.rows {
            let by_itself = row.member == report.from;
            if row.member != self.own && (by_itself || from_leader) {
                let excess = row.hashes.len().saturating_sub(HASH_NOTES_KEPT);
                row.hashes.drain(..excess);
                self.rows.insert(row.member, row);
            }
        }
    }

    /// A peer was met on the network: what it supports is known before it reports anything.
    pub(super) fn meet(&mut self, member: MemberId, features: (FeatureLevel, FeatureLevel)) {
        if member == self.own {
            return;
        }
        let row = self.rows.entry(member).or_insert_with(|| ReportRow {
            member,
            hashes: Vec::new(),
            features,
            projection_healthy: false,
        });
        row.features = features;
    }

    /// The voters that nothing is known of: neither met nor reported.
    pub(super) fn unknown_voters(&self, configuration: &Configuration) -> Vec<MemberId> {
        let voters = configuration.all_voters();
        let unknown = voters.filter(|voter| !self.rows.contains_key(voter));
        unknown.copied().collect()
    }

    /// This member's own report.
    pub(super) fn own(&self) -> MemberReport {
        let rows = self.rows.get(&self.own).cloned().into_iter().collect();
        MemberReport {
            from: self.own,
            rows,
        }
    }

    /// What the controller shares with all members: their rows.
    pub(super) fn shared(&self, configuration: &Configuration) -> MemberReport {
        MemberReport {
            from: self.own,
            rows: self.rows(configuration),
        }
    }

    /// Forgets strangers if there are too many.
    pub(super) fn forget_strangers(&mut self, configuration: &Configuration) {
        if self.rows.len() > ROWS_KEPT {
            let own = self.own;
            self.rows
                .retain(|member, _| *member == own || configuration.is_member(member));
        }
    }

    /// The rows of these members.
    pub(super) fn rows(&self, configuration: &Configuration) -> Vec<ReportRow> {
        configuration
            .members()
            .filter_map(|member| self.rows.get(member))
            .cloned()
            .collect()
    }

    /// The highest feature level that all voters support; `None` until all were met
    /// or have reported.
    pub(super) fn common_level(&self, configuration: &Configuration) -> Option<FeatureLevel> {
        let levels: Option<Vec<_>> = configuration
            .all_voters()
            .map(|voter| self.rows.get(voter).map(|row| row.features.1))
            .collect();
        levels?.into_iter().min()
    }

    /// Compares the voters at every index that this member has noted, the newest first. A member is
    /// judged only by more than half of all voters.
    pub(super) fn judge(&self, configuration: &Configuration) -> Judgement {
        let own = self.rows.get(&self.own).map_or(&[][..], |row| &row.hashes);
        let judged = own
            .iter()
            .rev()
            .map(|note| self.judge_at(note.index, configuration));
        let mut worst = Judgement::Agreed;
        for judgement in judged {
            match judgement {
                Judgement::Corrupt { .. } => return judgement,
                Judgement::Diverged(_) if worst == Judgement::Agreed => worst = judgement,
                _ => {}
            }
        }
        worst
    }

    fn judge_at(&self, index: LogIndex, configuration: &Configuration) -> Judgement {
        let mut members_of: BTreeMap<(StateHash, FeatureLevel), Vec<MemberId>> = BTreeMap::new();
        for member in configuration.members() {
            let notes = self.rows.get(member).map_or(&[][..], |row| &row.hashes);
            if let Some(note) = notes.iter().find(|note| note.index == index) {
                members_of
                    .entry((note.hash, note.level))
                    .or_default()
                    .push(*member);
            }
        }
        if members_of.len() <= 1 {
            return Judgement::Agreed;
        }
        let is_majority = |members: &Vec<MemberId>| {
            configuration.has_quorum(|voter| members.contains(voter))
                || (mutant::is("minority-judges") && members.len() > 1)
        };
        if !members_of.values().any(is_majority) {
            return Judgement::Diverged(index);
        }
        members_of.retain(|_, members| !is_majority(members));
        Judgement::Corrupt {
            index,
            members: members_of.into_values().flatten().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dmq_raft::{DirectoryId, NodeId};

    use super::*;

    fn member(node: u32) -> MemberId {
        MemberId {
            node: NodeId(node),
            directory: DirectoryId(u128::from(node)),
        }
    }

    fn voters(count: u32) -> Configuration {
        Configuration::of_voters((1..=count).map(member))
    }

    fn note(index: u64, hash: u128) -> HashNote {
        HashNote {
            index: LogIndex(index),
            hash: StateHash(hash),
            level: FeatureLevel(1),
        }
    }

    fn report(node: u32, notes: &[HashNote]) -> MemberReport {
        let row = ReportRow {
            member: member(node),
            hashes: notes.to_vec(),
            features: (FeatureLevel(0), FeatureLevel(node)),
            projection_healthy: true,
        };
        MemberReport {
            from: member(node),
            rows: vec![row],
        }
    }

    fn table(own: &[HashNote]) -> Reports {
        let mut reports = Reports::new(member(1), (FeatureLevel(0), FeatureLevel(1)));
        for note in own {
            reports.note(*note);
        }
        reports
    }

    #[test]
    fn only_a_majority_of_all_voters_judges() {
        let mut reports = table(&[note(1024, 7)]);
        reports.merge(report(2, &[note(1024, 8)]), false);
        assert_eq!(
            reports.judge(&voters(3)),
            Judgement::Diverged(LogIndex(1024))
        );
        reports.merge(report(3, &[note(1024, 8)]), false);
        let corrupt = Judgement::Corrupt {
            index: LogIndex(1024),
            members: vec![member(1)],
        };
        assert_eq!(reports.judge(&voters(3)), corrupt);
        assert_eq!(
            reports.judge(&voters(5)),
            Judgement::Diverged(LogIndex(1024)),
            "two of five are no majority"
        );
    }

    #[test]
    fn members_that_noted_other_indexes_are_not_compared() {
        let mut reports = table(&[note(2048, 7)]);
        reports.merge(report(2, &[note(1024, 8), note(3072, 9)]), false);
        assert_eq!(reports.judge(&voters(2)), Judgement::Agreed);
    }

    #[test]
    fn a_member_speaks_for_itself_and_only_the_leader_for_others() {
        let mut reports = table(&[]);
        let mut lie = report(2, &[]);
        lie.rows.extend(report(3, &[]).rows);
        reports.merge(lie.clone(), false);
        assert_eq!(reports.common_level(&voters(3)), None);
        reports.merge(lie, true);
        assert_eq!(reports.common_level(&voters(3)), Some(FeatureLevel(1)));
    }

    #[test]
    fn a_peer_that_was_met_counts_for_the_level_and_keeps_its_hashes() {
        let mut reports = table(&[note(1024, 7)]);
        reports.merge(report(2, &[note(1024, 8)]), false);
        assert_eq!(reports.unknown_voters(&voters(3)), vec![member(3)]);
        for node in [1, 2, 3] {
            reports.meet(member(node), (FeatureLevel(0), FeatureLevel(5)));
        }
        assert_eq!(reports.unknown_voters(&voters(3)), vec![]);
        assert_eq!(
            reports.common_level(&voters(3)),
            Some(FeatureLevel(1)),
            "of this member, whose own row nobody else writes"
        );
        assert_eq!(
            reports.judge(&voters(3)),
            Judgement::Diverged(LogIndex(1024))
        );
    }

    #[test]
    fn strangers_and_their_notes_are_bounded() {
        let notes: Vec<_> = (1..=100).map(|n| note(n, 7)).collect();
        let mut reports = table(&[]);
        reports.merge(report(2, &notes), false);
        assert_eq!(reports.rows(&voters(2))[1].hashes, notes[92..]);
        for node in 2..=u32::try_from(ROWS_KEPT).unwrap() {
            reports.meet(member(node), (FeatureLevel(0), FeatureLevel(1)));
        }
        reports.forget_strangers(&voters(3));
        assert_eq!(reports.rows.len(), ROWS_KEPT, "not yet too many");
        reports.meet(member(1000), (FeatureLevel(0), FeatureLevel(1)));
        reports.forget_strangers(&voters(3));
        let kept: Vec<_> = reports.rows.keys().copied().collect();
        assert_eq!(kept, [member(1), member(2), member(3)]);
        assert_eq!(reports.shared(&voters(2)).rows.len(), 2);
    }

    #[test]
    fn the_last_eight_notes_are_reported() {
        let notes: Vec<_> = (1..=10).map(|n| note(n * 1024, u128::from(n))).collect();
        let reported = table(&notes).own().rows.remove(0).hashes;
        assert_eq!(reported, notes[2..]);
    }
}
