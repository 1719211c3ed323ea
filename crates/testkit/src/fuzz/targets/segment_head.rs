//! The front of a segment: its header block, and the first frame that repeats what older segments said.

use dmq_log::Record;
use dmq_raft::LogIndex;

use super::directory::{
    self, BLOCK, FrameFields, formatted, hard_state, header_seed, seeded_crc, segment,
};
use super::membership::of;
use super::record::start_at;
use crate::fuzz::{Answer, Form, Target};

/// The decoder of a segment's front.
pub(super) const TARGET: Target = Target {
    name: "segment_head",
    form: Form::Binary,
    run,
    seeds,
    memory_base: 1 << 20,
    memory_factor: 64,
};

/// The first byte says what the rest is: 0 the header block, with its checksum put right; 1 the block as it is; else
/// the body of the first frame. A log that opens is that of this directory, and says so twice.
fn run(input: &[u8]) -> Answer {
    let Some((what, rest)) = input.split_first() else {
        return Answer::refused(&"nothing");
    };
    let disk = formatted();
    let seed = header_seed(&disk);
    disk.damage(&segment(), |bytes| match what {
        0 | 1 => {
            let len = rest.len().min(BLOCK);
            bytes[..len].copy_from_slice(&rest[..len]);
            if *what == 0 {
                let crc = seeded_crc(seed, &bytes[..BLOCK - 4]).to_le_bytes();
                bytes[BLOCK - 4..BLOCK].copy_from_slice(&crc);
            }
        }
        _ => {
            let fields = FrameFields {
                sequence: 1,
                number: 1,
                synced_to: 0,
                previous_crc: 0,
            };
            let (frame, _) = directory::frame(seed, fields, rest);
            bytes[BLOCK..BLOCK + frame.len()].copy_from_slice(&frame);
        }
    });
    match directory::open(&disk) {
        Err(reason) => Answer::refused(&reason),
        Ok((log, recovered)) => {
            drop(log);
            let again = directory::open(&disk).map(|(_, again)| again);
            let again = again.unwrap_or_else(|reason| panic!("taken once, refused then: {reason}"));
            assert_eq!(again.start, recovered.start);
            assert_eq!(again.start_configuration, recovered.start_configuration);
            Answer::taken(&recovered.start_configuration)
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let block = formatted().contents(&segment()).unwrap_or_default();
    let head = |term, vote, nodes: &[u32]| {
        let records = [
            hard_state(term, vote),
            start_at(0, 0),
            Record::Configuration(LogIndex(0), of(nodes, &[])),
        ];
        let body = records.iter().flat_map(directory::record);
        std::iter::once(2).chain(body).collect::<Vec<u8>>()
    };
    let front = &block[..120];
    vec![
        [&[0], front].concat(),
        [&[1], front].concat(),
        head(0, None, &[]),
        head(7, Some(3), &[1, 2, 3]),
    ]
}
