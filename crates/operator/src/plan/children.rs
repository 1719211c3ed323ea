//! The children: applied in every pass, also while the quorum is in trouble, since repair must not wait for health.
//! Only a StatefulSet that would do harm is held back.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dmq_crd::quantity;

use super::draft::Draft;
use super::view::View;
use super::{Action, upgrade};
use crate::observed::{Problem, StatefulSet};

/// Applies what may be applied, and says what is refused.
pub(super) fn keep(view: &View<'_>, draft: &mut Draft) {
    let observed = view.observed;
    if !observed.token {
        draft.act(Action::CreateToken);
    }
    draft.act(Action::ApplyChildren);
    if let Some(problem) = scaling(view) {
        draft.reject(problem);
    }
    if let Some(problem) = resizing(view) {
        draft.reject(problem);
    }
    if let Some(problem) = upgrade::refused(view) {
        draft.reject(problem);
        return;
    }
    if let Some(problem) = missing(view) {
        draft.stall(problem);
        return;
    }
    match &observed.stateful_set {
        Some(set) if set.terminating => draft.wait(
            "StatefulSetTerminating",
            "the StatefulSet is being deleted; it is made again when it is gone",
        ),
        None if observed.claims.values().any(|claim| claim.terminating) => draft.wait(
            "ClaimsTerminating",
            "claims are being deleted; pods are made when they are gone",
        ),
        set => draft.act(Action::ApplyStatefulSet {
            replicas: view.replicas,
            claim_sizes: set
                .as_ref()
                .map(|set| set.claim_sizes.clone())
                .unwrap_or_default(),
        }),
    }
}

/// The template that is asked for is in place, or is deliberately held back: the pods can be judged by the present one.
pub(super) fn template_stands(view: &View<'_>, set: &StatefulSet) -> bool {
    set.applied || upgrade::refused(view).is_some() || !view.observed.missing.is_empty()
}

/// Secrets that are not there: pods that need them would never start.
fn missing(view: &View<'_>) -> Option<Problem> {
    let all: Vec<String> = view
        .observed
        .missing
        .iter()
        .map(|(field, wrong)| format!("{field}: {wrong}"))
        .collect();
    (!all.is_empty()).then(|| Problem::new("SecretMissing", all.join("; ")))
}

fn scaling(view: &View<'_>) -> Option<Problem> {
    let wanted = view.spec().replicas;
    if wanted == view.replicas {
        return None;
    }
    let message = format!(
        "spec.replicas is {wanted}, the quorum has {} voters and keeps them: their number cannot be changed yet. Set \
         spec.replicas back to {}",
        view.replicas, view.replicas
    );
    Some(Problem::new("ScaleRejected", message))
}

fn resizing(view: &View<'_>) -> Option<Problem> {
    let set = view.observed.stateful_set.as_ref()?;
    let wanted = claim_sizes(view);
    let differ: Vec<String> = set
        .claim_sizes
        .iter()
        .filter_map(|(template, have)| {
            let want = wanted.get(template.as_str())?;
            (!same_size(want, have)).then(|| format!("{template} is {have}, {want} is asked for"))
        })
        .collect();
    let message = format!(
        "volumes keep their size, they cannot be grown by this operator yet: {}. Everything else of the spec is applied",
        differ.join("; ")
    );
    (!differ.is_empty()).then(|| Problem::new("ResizeRejected", message))
}

/// Whether two quantities are the same number. What cannot be read is compared by its letters.
fn same_size(one: &str, other: &str) -> bool {
    quantity::compare(one, other).map_or(one == other, Ordering::is_eq)
}

/// The sizes that the spec asks for, by claim template.
fn claim_sizes<'a>(view: &View<'a>) -> BTreeMap<&'static str, &'a str> {
    let spec = view.spec();
    let mut sizes = BTreeMap::from([("log", spec.storage.size.as_str())]);
    let sidecar = spec
        .store
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.sidecar.as_ref());
    if let Some(sqlite) = &spec.store.sqlite {
        sizes.insert("data", sqlite.storage.size.as_str());
    } else if let Some(sidecar) = sidecar {
        sizes.insert("data", sidecar.storage.size.as_str());
    }
    sizes
}
