//! The row of a broker's registration.

use crate::ids::{BrokerEpoch, BrokerId, BrokerIncarnation, MetadataIndex, WallTime};
use crate::names::{Host, Rack};

/// A registered broker. Whether its heartbeats arrive is soft state of the controller ([`crate::liveness`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Number of the broker.
    pub id: BrokerId,
    /// Index of the entry that began this registration; another incarnation gets another one.
    pub epoch: BrokerEpoch,
    /// The run of the process that registered; `None` for brokers that do not know incarnations.
    pub incarnation: Option<BrokerIncarnation>,
    /// Host that clients connect to.
    pub host: Host,
    /// Port that clients connect to. Range: 1 to 65535.
    pub port: u16,
    /// Failure domain for placement.
    pub rack: Option<Rack>,
    /// A fenced broker leads nothing and joins no ISR. Every registration starts fenced.
    pub fenced: bool,
    /// When the controller stamped the registration. For people.
    pub registered_at: WallTime,
    /// Index of the latest registration record: the broker is caught up once it has seen this.
    pub registered_index: MetadataIndex,
}

impl Broker {
    /// `host:port`, as clients connect to it.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
