//! Snapshot files on their way from one node to another: in pieces, broken off by faults, resumed.

use dmq_log::sim::SimDisk;
use dmq_log::{Incoming, SnapshotReader};
use dmq_raft::{MemberId, Message, MessageBody};
use dmq_replica::DriverInput;

use super::mail::Delivery;
use super::params::MS;
use super::world::{Event, World};

/// Bytes of one piece.
const PIECE_BYTES: usize = 2 << 10;

/// One file on its way.
pub(super) struct Transfer {
    from: usize,
    from_life: u32,
    to: usize,
    to_life: u32,
    peer: MemberId,
    message: Message,
    reader: SnapshotReader<SimDisk>,
    incoming: Option<Incoming<SimDisk>>,
}

impl World {
    /// A driver wants its newest snapshot sent.
    pub(super) fn start_transfer(&mut self, from: usize, message: Message) {
        let peer = message.to;
        let Some(transfer) = self.offer(from, message) else {
            self.sent(from, self.nodes[from].life, peer, false);
            [Some(from), self.position(peer)]
                .into_iter()
                .flatten()
                .for_each(|node| self.notice_darkness(node));
            return;
        };
        let number = self.next_transfer;
        self.next_transfer += 1;
        self.transfers.insert(number, transfer);
        let delay = self.rng.between(MS, 20 * MS);
        self.after(delay, Event::Piece(number));
    }

    fn offer(&mut self, from: usize, message: Message) -> Option<Transfer> {
        let to = self.position(message.to)?;
        let peer = message.to;
        let from_life = self.nodes[from].life;
        let process = self.nodes[from].process.as_ref()?;
        let reader = process.snapshots.newest().ok()?.reader?;
        let to_life = self.nodes[to].life;
        let receiver = self.nodes[to].process.as_ref()?;
        let incoming = receiver.snapshots.receive(&reader.info().offer()).ok();
        incoming.as_ref()?;
        Some(Transfer {
            from,
            from_life,
            to,
            to_life,
            peer,
            message,
            reader,
            incoming,
        })
    }

    /// The next piece of a transfer.
    pub(super) fn piece(&mut self, number: u64) {
        let Some(mut transfer) = self.transfers.remove(&number) else {
            return;
        };
        let (from, life, peer) = (transfer.from, transfer.from_life, transfer.peer);
        let alive = self.nodes[from].life == life
            && self.nodes[transfer.to].life == transfer.to_life
            && self.nodes[from].process.is_some()
            && self.nodes[transfer.to].process.is_some();
        let open = self.network.is_open(from, transfer.to) && !self.rng.chance(self.params.loss);
        let moved = (alive && open).then(|| move_piece(&mut transfer)).flatten();
        match moved {
            None => {
                self.faults.broken_transfers += 1;
                self.sent(from, life, peer, false);
                self.notice_darkness(from);
                self.notice_darkness(transfer.to);
            }
            Some(false) => {
                self.transfers.insert(number, transfer);
                let delay = self.rng.between(100, 5 * MS);
                self.after(delay, Event::Piece(number));
            }
            Some(true) => {
                self.faults.transfers += 1;
                let message = install_message(&transfer);
                self.after(MS, Event::Arrive(transfer.to, Delivery::Raft(message)));
                self.sent(from, life, peer, true);
            }
        }
    }

    /// A transfer may have been the first to meet the end of the power: the log of a node that nobody has
    /// appended to writes nothing, and would never notice (seed 0x141f).
    fn notice_darkness(&mut self, node: usize) {
        let runs = self.nodes[node].process.is_some();
        if runs && self.nodes[node].disk.is_without_power() {
            let mut rng = self.nodes[node].rng.split();
            self.power_failed(node, &mut rng);
        }
    }

    fn sent(&mut self, from: usize, life: u32, to: MemberId, ok: bool) {
        self.queue_driver(from, life, DriverInput::SnapshotSent { to, ok });
    }
}

/// Moves one piece; `Some(true)` when the file is durable at the receiver, `None` when that failed.
fn move_piece(transfer: &mut Transfer) -> Option<bool> {
    let incoming = transfer.incoming.as_mut()?;
    let offset = incoming.offset();
    let piece = transfer.reader.read_raw(offset, PIECE_BYTES).ok()?;
    if piece.is_empty() {
        return transfer.incoming.take()?.finish().ok().map(|_| true);
    }
    incoming
        .write(offset, &piece, crc32c::crc32c(&piece))
        .ok()?;
    Some(false)
}

/// The message for the receiving core: it names the file that was sent, which may be newer than the one
/// that the core asked for.
fn install_message(transfer: &Transfer) -> Message {
    let mut message = transfer.message.clone();
    let meta = &transfer.reader.info().meta;
    if let MessageBody::InstallSnapshot {
        last,
        configuration,
        ..
    } = &mut message.body
    {
        *last = meta.last;
        *configuration = meta.configuration.clone();
    }
    message
}
