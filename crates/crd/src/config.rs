//! `spec.config`: the keys of the node's configuration that users may set. All others belong to the operator.

use schemars::Schema;

use crate::rule::{Says, bounded_map, key_rule, rule};

/// The keys that `spec.config` takes.
pub const KEYS: &[&str] = &[
    "broker.session-timeout-ms",
    "dmq.kraft.raft.kept-entries",
    "dmq.kraft.raft.snapshot-interval-ms",
    "log.format",
    "log.level",
];

/// The keys, and for each the values that a node takes: it would refuse others only when it starts.
pub(crate) fn rules(schema: &mut Schema) {
    bounded_map::<16, 256>(schema);
    let keys = KEYS
        .iter()
        .map(|key| format!("'{key}'"))
        .collect::<Vec<_>>()
        .join(", ");
    key_rule(
        schema,
        &format!("key in [{keys}]"),
        Says::Invalid(
            "config takes log.level, log.format, broker.session-timeout-ms, dmq.kraft.raft.snapshot-interval-ms and dmq.kraft.raft.kept-entries only; the operator sets the other keys",
        ),
    );
    number(
        schema,
        "broker.session-timeout-ms",
        100,
        3_600_000,
        "broker.session-timeout-ms must be a number from 100 to 3600000",
    );
    number(
        schema,
        "dmq.kraft.raft.snapshot-interval-ms",
        100,
        31_536_000_000,
        "dmq.kraft.raft.snapshot-interval-ms must be a number from 100 to 31536000000",
    );
    number(
        schema,
        "dmq.kraft.raft.kept-entries",
        0,
        1 << 40,
        "dmq.kraft.raft.kept-entries must be a number from 0 to 1099511627776",
    );
    rule(
        schema,
        "",
        "!('log.format' in self) || self['log.format'] in ['human', 'json']",
        Says::Invalid("log.format must be human or json"),
    );
    rule(
        schema,
        "",
        format!(
            "!('log.level' in self) || self['log.level'].matches('^{DIRECTIVE}(,{DIRECTIVE})*$')"
        ),
        Says::Invalid(
            "log.level must be off, error, warn, info, debug or trace, or a list such as info,dmq_raft=debug",
        ),
    );
}

/// A level, or the level of one module.
const DIRECTIVE: &str = "([a-z0-9_:]+=)?(off|error|warn|info|debug|trace)";

fn number(schema: &mut Schema, key: &str, least: u64, most: u64, message: &'static str) {
    let expression = format!(
        "!('{key}' in self) || (self['{key}'].matches('^[0-9]{{1,13}}$') && int(self['{key}']) >= {least} && int(self['{key}']) <= {most})"
    );
    rule(schema, "", expression, Says::Invalid(message));
}
