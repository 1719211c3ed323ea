//! Frames: what recovery makes of a row of them, some good, some damaged, and when it must refuse.

use dmq_raft::LogIndex;

use super::directory::{
    self, BLOCK, FrameFields, SEGMENT_BYTES, command, formatted, hard_state, header_seed, segment,
};
use crate::fuzz::{Answer, Form, Target};

/// The walk from frame to frame, and the judgement on the first bad one (DESIGN 6.2).
pub(super) const TARGET: Target = Target {
    name: "frame",
    form: Form::Binary,
    run,
    seeds,
    memory_base: 1 << 20,
    memory_factor: 64,
};

const HEADER_BROKEN: u8 = 1;
const BODY_BROKEN: u8 = 2;
const CHAIN_BROKEN: u8 = 4;
const OTHER_NUMBER: u8 = 8;
const OTHER_SYNCED_TO: u8 = 16;
const OTHER_SEQUENCE: u8 = 32;
const EMPTY: u8 = 64;
const BLOCK_LOST: u8 = 128;

/// One frame as the input describes it: control bits, a number for them, and the payload of its entry.
struct Plan<'a> {
    control: u8,
    by: u8,
    payload: &'a [u8],
}

/// What the frames of the input must come to, by the rules of DESIGN 6.2 and nothing else.
#[derive(Default)]
struct Expectation {
    /// Number of the first bad frame, once there is one.
    first_bad: Option<u64>,
    /// The largest `synced_to` that a good header names.
    synced_to: u64,
    /// Entries before the first bad frame.
    entries: u64,
    /// A good frame with records ends with the segment, and leaves no room for an empty one.
    full: bool,
}

/// Builds the frames behind the first of a new segment and opens the log. Damage at or below the largest `synced_to`
/// is refused; any other is cut, with all behind it and nothing before.
fn run(input: &[u8]) -> Answer {
    let disk = formatted();
    let (frames, expected) = build(header_seed(&disk), first_frame(&disk), plans(input));
    disk.damage(&segment(), |bytes| {
        bytes[2 * BLOCK..2 * BLOCK + frames.len()].copy_from_slice(&frames);
    });
    let damaged = expected
        .first_bad
        .is_some_and(|bad| bad <= expected.synced_to);
    let must_refuse = damaged || expected.full;
    match directory::open(&disk) {
        Err(reason) => {
            assert!(must_refuse, "a torn tail is no damage: {reason}");
            Answer::refused(&reason)
        }
        Ok((log, recovered)) => {
            assert!(
                !must_refuse,
                "silently lost: frame {:?}",
                expected.first_bad
            );
            assert_eq!(log.last().index, LogIndex(expected.entries));
            Answer::taken(&(
                recovered.report.torn.is_some(),
                expected.first_bad.is_some(),
            ))
        }
    }
}

fn plans(mut input: &[u8]) -> Vec<Plan<'_>> {
    let mut plans = Vec::new();
    while let [control, by, low, high, rest @ ..] = input {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, behind) = rest.split_at(len);
        plans.push(Plan {
            control: *control,
            by: *by,
            payload,
        });
        input = behind;
    }
    plans
}

/// The header's checksum of the frame that `format` wrote.
fn first_frame(disk: &dmq_log::sim::SimDisk) -> [u8; 4] {
    let bytes = disk.contents(&segment()).unwrap_or_default();
    bytes[BLOCK + 60..]
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

fn build(seed: u64, first: [u8; 4], plans: Vec<Plan<'_>>) -> (Vec<u8>, Expectation) {
    let mut out = Vec::new();
    let mut expected = Expectation::default();
    let (mut number, mut previous_crc) = (2_u64, u32::from_le_bytes(first));
    let room = usize::try_from(SEGMENT_BYTES).unwrap_or(0) - 2 * BLOCK;
    let mut index = 1;
    for plan in plans {
        let is = |bit: u8| plan.control & bit != 0;
        let body = body(&plan, number == 2, index);
        let mut fields = FrameFields {
            sequence: 1 + u64::from(is(OTHER_SEQUENCE)),
            number,
            synced_to: number - 1,
            previous_crc: previous_crc ^ u32::from(is(CHAIN_BROKEN)),
        };
        if is(OTHER_NUMBER) {
            fields.number = number.wrapping_add(u64::from(plan.by)).wrapping_sub(128);
        }
        if is(OTHER_SYNCED_TO) {
            fields.synced_to = u64::from(plan.by);
        }
        let (mut frame, crc) = directory::frame(seed, fields, &body);
        if out.len() + frame.len() > room {
            break;
        }
        if is(HEADER_BROKEN) {
            frame[40] ^= 1;
        }
        if is(BODY_BROKEN) && !body.is_empty() {
            frame[64] ^= 1;
        }
        if is(BLOCK_LOST) {
            frame[..BLOCK].fill(0);
        }
        expected.pass(&plan, fields, number, !body.is_empty());
        index += u64::from(!body.is_empty());
        out.extend(frame);
        expected.full |= expected.first_bad.is_none() && !body.is_empty() && out.len() == room;
        (number, previous_crc) = (number + 1, crc);
    }
    (out, expected)
}

fn body(plan: &Plan<'_>, is_first: bool, index: u64) -> Vec<u8> {
    if plan.control & EMPTY != 0 {
        return Vec::new();
    }
    let mut body = Vec::new();
    if is_first || index == 1 {
        body.extend(directory::record(&hard_state(1, Some(1))));
    }
    body.extend(directory::record(&command(index, 1, plan.payload)));
    body
}

impl Expectation {
    fn pass(&mut self, plan: &Plan<'_>, fields: FrameFields, number: u64, has_entry: bool) {
        let is = |bit: u8| plan.control & bit != 0;
        let header_reads = !is(HEADER_BROKEN) && !is(BLOCK_LOST) && fields.sequence == 1;
        if header_reads {
            self.synced_to = self.synced_to.max(fields.synced_to);
        }
        let follows = header_reads
            && fields.number == number
            && !is(CHAIN_BROKEN)
            && fields.synced_to < number
            && !(is(BODY_BROKEN) && has_entry);
        if self.first_bad.is_none() {
            if follows {
                self.entries += u64::from(has_entry);
            } else {
                self.first_bad = Some(number);
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let plan = |control: u8, by: u8, payload: &[u8]| {
        let len = u16::try_from(payload.len())
            .unwrap_or(u16::MAX)
            .to_le_bytes();
        [&[control, by][..], &len, payload].concat()
    };
    let good = plan(0, 0, b"one");
    let long = plan(0, 0, &[7; 5000]);
    let empty = plan(EMPTY, 0, b"");
    let torn = plan(BODY_BROKEN, 0, b"torn");
    vec![
        good.clone(),
        [good.clone(), long.clone(), empty.clone()].concat(),
        [good.clone(), good.clone(), torn].concat(),
        [good.clone(), plan(BLOCK_LOST, 0, b"lost")].concat(),
        [good, empty, long, plan(HEADER_BROKEN, 0, b"x")].concat(),
    ]
}
