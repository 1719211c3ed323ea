//! Why a pod does not run, in Kubernetes' own words where it has any.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStateTerminated, ContainerStatus, Pod};

use crate::observed::Problem;

/// Waiting for these is the normal way to run.
const ON_ITS_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];
/// Kubernetes' word for a container that ends again and again.
const CRASH_LOOP: &str = "CrashLoopBackOff";
/// Longest quotation of a container's last words, in characters.
const QUOTE_MAX: usize = 300;

/// What keeps this pod from running; `None` while it runs or is on its way.
pub(super) fn problem(pod: &Pod) -> Option<Problem> {
    let status = pod.status.as_ref()?;
    if status.phase.as_deref() == Some("Failed") {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        let message = status.message.as_deref().unwrap_or("the pod has failed");
        return Some(said(reason, message.to_owned()));
    }
    unschedulable(pod).or_else(|| {
        let first = status.init_container_statuses.iter().flatten();
        let rest = status.container_statuses.iter().flatten();
        first.chain(rest).find_map(of_container)
    })
}

fn unschedulable(pod: &Pod) -> Option<Problem> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let condition = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")?;
    let reason = condition.reason.as_deref().unwrap_or("Unschedulable");
    let message = condition
        .message
        .as_deref()
        .unwrap_or("no Kubernetes node takes the pod");
    Some(said(reason, message.to_owned()))
}

fn of_container(container: &ContainerStatus) -> Option<Problem> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        if ON_ITS_WAY.contains(&reason) {
            return None;
        }
        let ended = last_end(container);
        // What Kubernetes says of a crash loop is how long it waits, which changes all the time.
        let words = match (&waiting.message, ended) {
            (Some(_), Some(_)) if reason == CRASH_LOOP => "",
            (message, _) => message.as_deref().unwrap_or_default(),
        };
        return Some(said(reason, sentence(container, words, ended)));
    }
    let ended = state.terminated.as_ref()?;
    if ended.exit_code == 0 {
        return None;
    }
    let reason = ended.reason.as_deref().unwrap_or("Error");
    // Between two starts a crash loop looks like a single failure.
    let again = reason == "Error" && container.restart_count > 0;
    let reason = if again { CRASH_LOOP } else { reason };
    Some(said(reason, sentence(container, "", Some(ended))))
}

fn last_end(container: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    let last: &ContainerState = container.last_state.as_ref()?;
    last.terminated.as_ref()
}

fn sentence(
    container: &ContainerStatus,
    words: &str,
    ended: Option<&ContainerStateTerminated>,
) -> String {
    let mut text = format!("container {}", container.name);
    if !words.is_empty() {
        text = format!("{text}: {}", quoted(words));
    }
    let Some(ended) = ended else {
        return text;
    };
    let how = match (ended.reason.as_deref(), ended.signal) {
        (Some("OOMKilled"), _) => "was killed for want of memory".to_owned(),
        (_, Some(signal)) if signal != 0 => format!("was ended by signal {signal}"),
        _ => format!("ended with exit code {}", ended.exit_code),
    };
    text = if words.is_empty() {
        format!("{text} {how}")
    } else {
        format!("{text}; it {how}")
    };
    match ended.message.as_deref().map(str::trim) {
        Some(message) if !message.is_empty() => format!("{text}: {}", quoted(message)),
        _ => text,
    }
}

/// The end of what was said: the last words tell why.
fn quoted(words: &str) -> String {
    let words = words.trim();
    let count = words.chars().count();
    if count <= QUOTE_MAX {
        return words.to_owned();
    }
    let end: String = words.chars().skip(count - QUOTE_MAX).collect();
    format!("... {end}")
}

fn said(reason: &str, message: String) -> Problem {
    Problem {
        reason: reason.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests;
