//! Sentences for people: what is wrong with which pod, and what to do about it.

use dmq_crd::names;

use super::facts::Facts;
use super::members::{is_ready, pod_trouble};
use crate::observed::{Observed, Problem};

/// Longest message of a condition; Kubernetes allows 32 KiB, people less.
const MESSAGE_MAX: usize = 2_000;

/// Name of the pod with this ordinal.
pub(super) fn pod_name(observed: &Observed, ordinal: i32) -> String {
    let name = observed.cluster.metadata.name.as_deref();
    names::pod(name.unwrap_or_default(), ordinal)
}

/// A problem in one line, without the figures that Kubernetes changes at every attempt.
pub(super) fn problem(problem: &Problem) -> String {
    let message = steady(&problem.message);
    let message = message.trim().trim_end_matches('.');
    match (problem.reason.is_empty(), message.is_empty()) {
        (true, _) => message.to_owned(),
        (_, true) => problem.reason.clone(),
        _ if message.starts_with(&problem.reason) => message.to_owned(),
        _ => format!("{}: {message}", problem.reason),
    }
}

/// What is the matter with every pod that is not Ready, and what to do; empty if all are.
pub(super) fn troubles(facts: &Facts<'_>) -> String {
    let observed = facts.observed;
    let wanted = facts.wanted_pods().max(0);
    let sentences = (0..wanted).filter_map(|ordinal| {
        let name = pod_name(observed, ordinal);
        let pod = observed.pods.get(&ordinal);
        let trouble = pod_trouble(pod, &name)?;
        let advice = pod
            .filter(|pod| !is_ready(pod))
            .and_then(|pod| pod.problem.as_ref())
            .and_then(|problem| advice(&problem.reason, &name, facts.namespace()));
        let what = if trouble.contains(&name) {
            capitalised(&trouble)
        } else {
            format!("Pod {name}: {trouble}")
        };
        Some(match advice {
            Some(advice) => format!("{what}. {advice}"),
            None => format!("{what}."),
        })
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// What a user can do about a pod that does not run.
fn advice(reason: &str, pod: &str, namespace: &str) -> Option<String> {
    Some(match reason {
        "ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull" => {
            "Check spec.version, spec.image and spec.image.pullSecrets.".to_owned()
        }
        "CrashLoopBackOff" | "Error" | "RunContainerError" => {
            format!("Its log says why: kubectl -n {namespace} logs {pod} --all-containers --previous.")
        }
        "OOMKilled" => "Raise the memory limit in spec.pod.resources.".to_owned(),
        "Unschedulable" => {
            "Add room to the Kubernetes cluster, or relax spec.pod (resources, nodeSelector, affinity, tolerations)."
                .to_owned()
        }
        "CreateContainerConfigError" => {
            format!("A Secret or ConfigMap that it needs is missing or incomplete: kubectl -n {namespace} describe pod {pod}.")
        }
        _ => return None,
    })
}

/// Kubernetes' `back-off 20s restarting` doubles at every attempt: the figure is left out, or each attempt would be news.
fn steady(message: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in message.split(' ') {
        let after_back_off = words
            .last()
            .is_some_and(|last| last.eq_ignore_ascii_case("back-off"));
        if !(after_back_off && is_duration(word)) {
            words.push(word);
        }
    }
    words.join(" ")
}

fn is_duration(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit()) && word.ends_with(['s', 'm', 'h'])
}

/// First letter in upper case, unless it begins with a name of Kubernetes'.
fn capitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
        .unwrap_or_default()
}

/// One text of several messages, each with its full stop.
pub(super) fn sentences<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    let ended = messages.map(str::trim).map(|message| {
        if message.ends_with(['.', '!', '?']) {
            message.to_owned()
        } else {
            format!("{message}.")
        }
    });
    ended.collect::<Vec<_>>().join(" ")
}

/// Without leading, trailing and doubled blanks, without figures of Kubernetes' that grow, and not too long.
pub(super) fn tidy(message: &str) -> String {
    let words: Vec<&str> = message.split_whitespace().collect();
    cut(&steady(&words.join(" ")), MESSAGE_MAX)
}

/// What is left of a message without its figures and times: two of one gist are the same news. A log line that a crashed
/// container left behind carries the time of each crash.
pub(super) fn gist(message: &str) -> String {
    let has_time = |word: &str| {
        let mut threes = word.as_bytes().windows(3);
        threes
            .any(|three| three[0].is_ascii_digit() && three[1] == b':' && three[2].is_ascii_digit())
    };
    let is_figure =
        |word: &&str| word.starts_with(|first: char| first.is_ascii_digit()) || has_time(word);
    let words: Vec<&str> = message
        .split_whitespace()
        .filter(|word| !is_figure(word))
        .collect();
    words.join(" ")
}

/// At most so many bytes, never half a letter.
pub(super) fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let room = bytes.saturating_sub(3);
    let end = (0..=room).rev().find(|&at| text.is_char_boundary(at));
    format!("{}...", &text[..end.unwrap_or(0)])
}
