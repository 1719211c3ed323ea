//! The command line of `dmq-load`.

use std::time::Duration;

use clap::Parser;

/// Writes to a metadata quorum all the time and prints one JSON line every 100 ms
#[derive(Clone, Debug, Parser)]
#[command(name = "dmq-load", version, max_term_width = 100)]
pub struct Options {
    /// REST address of a node or of a Service, as `http://host:port`; more than one may be given
    #[arg(long = "node", value_name = "URL", required = true)]
    pub nodes: Vec<String>,
    /// Clients that write at the same time; each has one write in flight
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub clients: u32,
    /// The topic whose partitions are changed; others are created and deleted under names that begin so
    #[arg(long, default_value = "load")]
    pub topic: String,
    /// Pause of a client between two writes, in milliseconds: a load is to show gaps, not to wear the machine out
    #[arg(long = "pause-ms", default_value = "10", value_name = "MILLISECONDS", value_parser = milliseconds)]
    pub pause: Duration,
}

fn milliseconds(text: &str) -> Result<Duration, std::num::ParseIntError> {
    text.parse().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_required_and_the_rest_has_defaults() {
        assert!(Options::try_parse_from(["dmq-load"]).is_err());
        let options =
            Options::try_parse_from(["dmq-load", "--node", "http://a:1", "--node=http://b:1"])
                .unwrap();
        assert_eq!(options.nodes, ["http://a:1", "http://b:1"]);
        assert_eq!((options.clients, options.topic.as_str()), (8, "load"));
        assert_eq!(options.pause, Duration::from_millis(10));
    }
}
