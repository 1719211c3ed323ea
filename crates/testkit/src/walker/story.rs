//! What happens in a walk, in lines that people can follow.

use dmq_raft::{AppendResult, Input, MemberId, Message, MessageBody, Outgoing};

use super::ids::generation;

/// A member as `node`, with its directory if that is not its first.
pub(crate) fn name(id: MemberId) -> String {
    match generation(id) {
        0 => id.node.to_string(),
        later => format!("{}.{later}", id.node),
    }
}

/// One input of one core.
pub(crate) fn line(at: MemberId, input: &Input) -> String {
    let what = match input {
        Input::Message(message) => {
            let (from, term) = (name(message.from), message.term);
            format!("term {term} from {from}: {}", body(message))
        }
        Input::Initialize(configuration) => {
            let voters = configuration.voters.iter().map(|voter| name(*voter));
            format!("Initialize {}", voters.collect::<Vec<_>>().join(" "))
        }
        other => short(&format!("{other:?}")),
    };
    format!("    {} <- {what}", name(at))
}

/// What a core sends.
pub(crate) fn sent(outgoing: &Outgoing) -> String {
    let message = &outgoing.message;
    let held = outgoing
        .after
        .map_or_else(String::new, |io| format!(", after write {}", io.0));
    format!("        -> {}: {}{held}", name(message.to), body(message))
}

fn body(message: &Message) -> String {
    match &message.body {
        MessageBody::Append {
            seq,
            prev,
            last,
            entries,
            commit,
        } => {
            let kinds = entries
                .iter()
                .map(|entry| format!("{} {:?}", entry.id(), entry.kind));
            let kinds = kinds.collect::<Vec<_>>().join(", ");
            format!("Append #{seq} {prev}..{last} commit {commit} [{kinds}]")
        }
        MessageBody::AppendReply {
            seq,
            result: AppendResult::Matched(matched),
        } => {
            format!("Matched #{seq} {matched}")
        }
        MessageBody::AppendReply {
            seq,
            result: AppendResult::Conflict { refused, hint },
        } => {
            format!("Conflict #{seq} {refused} hint {hint}")
        }
        other => short(&format!("{other:?}")),
    }
}

/// Debug output without the names of the wrappers around numbers.
fn short(text: &str) -> String {
    let mut text = text.to_owned();
    for wrapper in [
        "LogIndex",
        "Term",
        "IoSeq",
        "NodeId",
        "EntryId ",
        "MemberId ",
    ] {
        text = text.replace(wrapper, "");
    }
    text
}
