//! Mutations that know nothing of the input's form.

use super::super::chance::Chance;
use super::Stock;

/// Values at which decoders decide.
const NUMBERS: [u64; 18] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x100,
    0xfff,
    0x1000,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// One mutation.
pub(super) fn mutate(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    match chance.below(12) {
        0 | 1 => flip(input, chance),
        2 => set(input, chance),
        3 => nudge(input, chance),
        4 => number(input, chance),
        5 => {
            let range = chance.range(input.len());
            input.drain(range);
        }
        6 => repeat(input, chance),
        7 => insert_noise(input, chance),
        8 => splice(input, stock, chance),
        9 => cross(input, stock, chance),
        10 => insert_word(input, stock, chance),
        _ => {
            let range = chance.range(input.len());
            let value = if chance.once_in(2) { 0 } else { chance.byte() };
            input[range].fill(value);
        }
    }
}

fn flip(input: &mut [u8], chance: &mut Chance) {
    let at = chance.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        *byte ^= 1 << chance.below(8);
    }
}

fn set(input: &mut [u8], chance: &mut Chance) {
    let at = chance.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        *byte = chance.byte();
    }
}

fn nudge(input: &mut [u8], chance: &mut Chance) {
    let at = chance.below(input.len());
    if let Some(byte) = input.get_mut(at) {
        let by = u8::try_from(1 + chance.small(15)).unwrap_or(1);
        *byte = if chance.once_in(2) {
            byte.wrapping_add(by)
        } else {
            byte.wrapping_sub(by)
        };
    }
}

/// Writes a number over 1, 2, 4 or 8 bytes.
fn number(input: &mut [u8], chance: &mut Chance) {
    let value = chance.pick(&NUMBERS).copied().unwrap_or_default();
    let len = 1 << chance.below(4);
    let little = chance.once_in(2);
    let at = chance.below(input.len());
    let bytes = value.to_le_bytes();
    for (step, byte) in input.iter_mut().skip(at).take(len).enumerate() {
        *byte = if little {
            bytes[step]
        } else {
            bytes[len - 1 - step]
        };
    }
}

fn repeat(input: &mut Vec<u8>, chance: &mut Chance) {
    let range = chance.range(input.len());
    let piece = input[range.clone()].to_vec();
    let times = if chance.once_in(8) {
        1 + chance.small(60)
    } else {
        1
    };
    for _ in 0..times {
        input.splice(range.end..range.end, piece.iter().copied());
    }
}

fn insert_noise(input: &mut Vec<u8>, chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let noise: Vec<u8> = (0..=chance.small(12)).map(|_| chance.byte()).collect();
    input.splice(at..at, noise);
}

/// A piece of another input in place of a piece of this one.
fn splice(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    let Some(other) = chance.pick(stock.pool) else {
        return;
    };
    let piece = other[chance.range(other.len())].to_vec();
    let range = if chance.once_in(2) {
        chance.range(input.len())
    } else {
        let at = chance.below(input.len() + 1);
        at..at
    };
    input.splice(range, piece);
}

/// The front of this input and the back of another one.
fn cross(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    let Some(other) = chance.pick(stock.pool) else {
        return;
    };
    input.truncate(chance.below(input.len() + 1));
    input.extend_from_slice(&other[chance.below(other.len() + 1)..]);
}

fn insert_word(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    let Some(word) = chance.pick(stock.words) else {
        return;
    };
    let at = chance.below(input.len() + 1);
    let over = if chance.once_in(2) { word.len() } else { 0 };
    let end = (at + over).min(input.len());
    input.splice(at..end, word.iter().copied());
}
