//! New inputs from old ones.

mod bytes;
mod protobuf;
mod text;

use super::chance::Chance;
use super::{Form, INPUT_BYTES_MAX};

/// What mutations draw on beside chance.
pub(super) struct Stock<'a> {
    /// Inputs that were worth keeping.
    pub(super) pool: &'a [Vec<u8>],
    /// Words and names that occur in seeds.
    pub(super) words: &'a [Vec<u8>],
}

/// An input made of one of the pool by a few mutations.
pub(super) fn mutated(form: Form, from: &[u8], stock: &Stock<'_>, chance: &mut Chance) -> Vec<u8> {
    let mut input = from.to_vec();
    for _ in 0..=chance.small(4) {
        let plain = chance.once_in(2);
        match form {
            Form::Protobuf if !plain => protobuf::mutate(&mut input, stock, chance),
            Form::Text if !plain => text::mutate(&mut input, stock, chance),
            Form::Binary | Form::Protobuf | Form::Text => bytes::mutate(&mut input, stock, chance),
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}

/// The words of an input: runs of letters and digits, which decoders may compare with.
pub(super) fn words_of(input: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let runs = input.split(move |byte| !is_word(byte));
    runs.filter(|run| (2..=40).contains(&run.len()))
        .map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_gives_inputs_within_the_limit_and_of_every_kind() {
        let pool = [vec![8, 1, 18, 2, 8, 3], b"{\"id\": 1}".to_vec(), vec![]];
        let words: Vec<_> = words_of(b"alpha beta").collect();
        assert_eq!(words, [b"alpha".to_vec(), b"beta".to_vec()]);
        let stock = Stock {
            pool: &pool,
            words: &words,
        };
        for form in [Form::Binary, Form::Protobuf, Form::Text] {
            let mut chance = Chance::new(3);
            let mut different = std::collections::BTreeSet::new();
            for round in 0..3000 {
                let input = mutated(form, &pool[round % pool.len()], &stock, &mut chance);
                assert!(input.len() <= INPUT_BYTES_MAX);
                different.insert(input);
            }
            assert!(different.len() > 500, "{form:?}: {}", different.len());
        }
    }
}
