//! Ports of the loopback interface that stay free while a node is down.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::Context as _;

/// Below the range from which the system takes the ports of outgoing connections: a port of a killed node that became
/// somebody's outgoing port would keep the node from coming back.
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;

/// Tests of one program draw from one sequence; programs start at different points of it.
static DRAWN: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on and that no other test of this program was given.
pub fn free_port() -> anyhow::Result<u16> {
    let begin = std::process::id().wrapping_mul(61) % u32::from(COUNT);
    let begin = u16::try_from(begin)?;
    (0..COUNT)
        .map(|_| {
            let drawn = DRAWN.fetch_add(1, Ordering::Relaxed) % COUNT;
            FIRST + (begin + drawn) % COUNT
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("no free port")
}

/// The first of so many free ports in a row.
pub fn free_ports_in_a_row(count: u16) -> anyhow::Result<u16> {
    loop {
        let first = free_port()?;
        let rest = (1..count)
            .map(|_| free_port())
            .collect::<anyhow::Result<Vec<_>>>()?;
        if rest
            .iter()
            .zip(1..)
            .all(|(port, step)| *port == first + step)
        {
            return Ok(first);
        }
    }
}
