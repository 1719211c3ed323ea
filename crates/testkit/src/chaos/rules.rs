//! What happens to packets between nodes, as a value, and the same as rules of nftables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::network::DETOUR;

/// Of one hundred packets on a lossy path so many are lost.
const LOSS_PERCENT: u32 = 50;

/// What becomes of the packets that one node sends to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// None arrives.
    Dropped,
    /// Half of them arrive.
    Lossy,
    /// They arrive 25 to 125 ms later, in another order.
    Delayed,
}

/// Treatments by (from, to); other packets pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rules {
    treated: BTreeMap<(u32, u32), Treatment>,
}

impl Rules {
    /// Nothing passes between `group` and the others, in either direction.
    pub(super) fn cut_off(nodes: u32, group: &[u32]) -> Self {
        let parted = |from, to| group.contains(&from) != group.contains(&to);
        Self::of(nodes, Treatment::Dropped, parted)
    }

    /// Nothing that `node` sends arrives.
    pub(super) fn mute(nodes: u32, node: u32) -> Self {
        Self::of(nodes, Treatment::Dropped, |from, _| from == node)
    }

    /// Nothing arrives at `node`.
    pub(super) fn deaf(nodes: u32, node: u32) -> Self {
        Self::of(nodes, Treatment::Dropped, |_, to| to == node)
    }

    /// Two halves that only `bridge` joins.
    pub(super) fn bridge(nodes: u32, bridge: u32) -> Self {
        // The others in a row behind the bridge; the first half of the row does not hear the second.
        let place = |node: u32| (node + nodes - bridge) % nodes;
        let half = |node: u32| place(node) <= (nodes - 1) / 2;
        let parted = |from, to| from != bridge && to != bridge && half(from) != half(to);
        Self::of(nodes, Treatment::Dropped, parted)
    }

    /// Every node hears its two neighbours only.
    pub(super) fn ring(nodes: u32) -> Self {
        let neighbours =
            |from: u32, to: u32| matches!(from.abs_diff(to), 1) || from.abs_diff(to) == nodes - 1;
        Self::of(nodes, Treatment::Dropped, |from, to| !neighbours(from, to))
    }

    /// Every second packet from and to `node` is lost.
    pub(super) fn lossy(nodes: u32, node: u32) -> Self {
        Self::of(nodes, Treatment::Lossy, |from, to| {
            from == node || to == node
        })
    }

    /// All packets between all nodes are delayed.
    pub(super) fn delayed(nodes: u32) -> Self {
        Self::of(nodes, Treatment::Delayed, |_, _| true)
    }

    fn of(nodes: u32, treatment: Treatment, which: impl Fn(u32, u32) -> bool) -> Self {
        let pairs = (1..=nodes).flat_map(|from| (1..=nodes).map(move |to| (from, to)));
        let treated = pairs
            .filter(|&(from, to)| from != to && which(from, to))
            .map(|pair| (pair, treatment))
            .collect();
        Self { treated }
    }

    /// The table for `nft -f`: it replaces the one before as a whole. A node's packets are met where they leave its cable.
    pub(super) fn script(&self, nodes: u32) -> String {
        let mut text =
            "table netdev chaos\ndelete table netdev chaos\ntable netdev chaos {\n".to_owned();
        for from in 1..=nodes {
            let link = link(from);
            let _ = writeln!(text, " chain from-{from} {{");
            let _ = writeln!(text, "  type filter hook ingress device {link} priority 0;");
            for (_, to, treatment) in self.rows().filter(|row| row.0 == from) {
                let _ = writeln!(
                    text,
                    "  ip daddr {} counter {}",
                    address(to),
                    verdict(treatment)
                );
            }
            text.push_str(" }\n");
        }
        text + "}\n"
    }

    fn rows(&self) -> impl Iterator<Item = (u32, u32, Treatment)> {
        self.treated
            .iter()
            .map(|(&(from, to), &treatment)| (from, to, treatment))
    }
}

fn verdict(treatment: Treatment) -> String {
    match treatment {
        Treatment::Dropped => "drop".to_owned(),
        // Counted before the dice are thrown.
        Treatment::Lossy => format!("numgen random mod 100 < {LOSS_PERCENT} drop"),
        Treatment::Delayed => format!("fwd to {DETOUR}"),
    }
}

/// Where a node is reached.
pub(super) fn address(id: u32) -> String {
    format!("198.18.240.{id}")
}

/// The bridge's end of a node's cable.
pub(super) fn link(id: u32) -> String {
    format!("node{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether packets from one node to another can arrive.
    fn hears(rules: &Rules, from: u32, to: u32) -> bool {
        rules.treated.get(&(from, to)) != Some(&Treatment::Dropped)
    }

    /// Nodes that `node` exchanges packets with, itself included.
    fn circle(rules: &Rules, nodes: u32, node: u32) -> Vec<u32> {
        let both = |other: &u32| hears(rules, node, *other) && hears(rules, *other, node);
        (1..=nodes).filter(both).collect()
    }

    #[test]
    fn a_bridge_joins_two_halves_that_do_not_hear_each_other() {
        let rules = Rules::bridge(5, 3);
        assert_eq!(circle(&rules, 5, 3), [1, 2, 3, 4, 5]);
        assert_eq!(circle(&rules, 5, 4), [3, 4, 5]);
        assert_eq!(circle(&rules, 5, 1), [1, 2, 3]);
        let three = Rules::bridge(3, 1);
        assert_eq!(circle(&three, 3, 1), [1, 2, 3]);
        assert_eq!(circle(&three, 3, 2), [1, 2]);
    }

    #[test]
    fn in_a_ring_everybody_has_a_majority_and_nobody_hears_all() {
        for node in 1..=5 {
            assert_eq!(circle(&Rules::ring(5), 5, node).len(), 3);
        }
        assert_eq!(Rules::ring(3), Rules::default());
    }

    #[test]
    fn one_way_is_one_way() {
        let (mute, deaf) = (Rules::mute(3, 2), Rules::deaf(3, 2));
        assert!(!hears(&mute, 2, 1) && hears(&mute, 1, 2) && hears(&mute, 1, 3));
        assert!(!hears(&deaf, 1, 2) && hears(&deaf, 2, 1) && hears(&deaf, 1, 3));
    }

    #[test]
    fn a_cut_is_a_rule_where_the_packets_leave() {
        let script = Rules::cut_off(3, &[1]).script(3);
        let (_, chain) = script.split_once("chain from-2 {").unwrap();
        let (chain, _) = chain.split_once('}').unwrap();
        assert!(chain.contains("device node2"), "{script}");
        assert!(
            chain.contains("ip daddr 198.18.240.1 counter drop"),
            "{script}"
        );
        assert!(!chain.contains("198.18.240.3"), "{script}");
    }
}
