//! Mutations of protobuf fields: lengths of what is around them are kept right, so that the change is seen.

use super::super::chance::Chance;
use super::{Stock, bytes};

/// A field: its key as it stands, and what follows it.
struct Field {
    key: u64,
    value: Value,
}

enum Value {
    Number(u64),
    Eight([u8; 8]),
    Sized(Vec<u8>),
    Four([u8; 4]),
}

/// One mutation; of bytes that are no protobuf, a plain one.
pub(super) fn mutate(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    match parse(input).filter(|fields| !fields.is_empty()) {
        Some(mut fields) => {
            change(&mut fields, stock, chance);
            *input = encode(&fields);
        }
        None => bytes::mutate(input, stock, chance),
    }
}

fn change(fields: &mut Vec<Field>, stock: &Stock<'_>, chance: &mut Chance) {
    let at = chance.below(fields.len());
    match chance.below(9) {
        0 => drop(fields.remove(at)),
        1 => {
            let times = if chance.once_in(6) {
                1 + chance.small(40)
            } else {
                1
            };
            for _ in 0..times {
                let copy = fields[at].copy();
                fields.insert(at, copy);
            }
        }
        2 => {
            let other = chance.below(fields.len());
            fields.swap(at, other);
        }
        3 => fields[at].key = renumbered(fields[at].key, chance),
        4 => graft(fields, stock, chance),
        _ => change_value(&mut fields[at].value, stock, chance),
    }
}

/// Another field number, the wire type as it was, most of the time.
fn renumbered(key: u64, chance: &mut Chance) -> u64 {
    match chance.below(4) {
        0 => key ^ 1 << chance.below(3),
        1 => key.wrapping_add(8),
        2 => key.wrapping_sub(8),
        _ => (key & 7) | (1 + chance.small(30) as u64) << 3,
    }
}

/// A field of another input.
fn graft(fields: &mut Vec<Field>, stock: &Stock<'_>, chance: &mut Chance) {
    let other = chance.pick(stock.pool).and_then(|other| parse(other));
    let Some(mut others) = other.filter(|others| !others.is_empty()) else {
        return;
    };
    let stranger = others.swap_remove(chance.below(others.len()));
    let at = chance.below(fields.len() + 1);
    fields.insert(at, stranger);
}

fn change_value(value: &mut Value, stock: &Stock<'_>, chance: &mut Chance) {
    match value {
        Value::Number(number) => {
            *number = match chance.below(4) {
                0 => number.wrapping_add(1),
                1 => number.wrapping_sub(1),
                2 => 1_u64
                    .rotate_left(u32::from(chance.byte()))
                    .wrapping_sub(chance.bits() & 1),
                _ => chance.bits() >> (chance.bits() & 63),
            };
        }
        Value::Eight(raw) => *raw = changed(*raw, stock, chance),
        Value::Four(raw) => *raw = changed(*raw, stock, chance),
        Value::Sized(inside) => {
            if chance.once_in(3) {
                bytes::mutate(inside, stock, chance);
            } else {
                mutate(inside, stock, chance);
            }
        }
    }
}

fn changed<const N: usize>(raw: [u8; N], stock: &Stock<'_>, chance: &mut Chance) -> [u8; N] {
    let mut inside = raw.to_vec();
    bytes::mutate(&mut inside, stock, chance);
    inside.resize(N, 0);
    inside.first_chunk().copied().unwrap_or(raw)
}

impl Field {
    fn copy(&self) -> Self {
        let value = match &self.value {
            Value::Number(number) => Value::Number(*number),
            Value::Eight(raw) => Value::Eight(*raw),
            Value::Four(raw) => Value::Four(*raw),
            Value::Sized(inside) => Value::Sized(inside.clone()),
        };
        Self {
            key: self.key,
            value,
        }
    }
}

fn parse(mut input: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while !input.is_empty() {
        let key = varint(&mut input)?;
        let value = match key & 7 {
            0 => Value::Number(varint(&mut input)?),
            1 => Value::Eight(*take(&mut input, 8)?.first_chunk()?),
            2 => {
                let len = usize::try_from(varint(&mut input)?).ok()?;
                Value::Sized(take(&mut input, len)?.to_vec())
            }
            5 => Value::Four(*take(&mut input, 4)?.first_chunk()?),
            _ => return None,
        };
        fields.push(Field { key, value });
    }
    Some(fields)
}

fn take<'a>(input: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(head)
}

fn varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(input, 1)?[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn encode(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        put_varint(field.key, &mut out);
        match &field.value {
            Value::Number(number) => put_varint(*number, &mut out),
            Value::Eight(raw) => out.extend_from_slice(raw),
            Value::Four(raw) => out.extend_from_slice(raw),
            Value::Sized(inside) => {
                put_varint(inside.len() as u64, &mut out);
                out.extend_from_slice(inside);
            }
        }
    }
    out
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_parsed_is_written_back() {
        let bytes = [
            8, 150, 1, 18, 2, 8, 3, 0x1d, 1, 2, 3, 4, 0x21, 1, 2, 3, 4, 5, 6, 7, 8,
        ];
        let fields = parse(&bytes).map(|fields| encode(&fields));
        assert_eq!(fields, Some(bytes.to_vec()));
        assert!(parse(&[18, 200, 1]).is_none(), "longer than there is");
    }
}
