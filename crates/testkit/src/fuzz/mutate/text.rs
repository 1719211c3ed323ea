//! Mutations of texts: words and punctuation, as JSON and YAML have them.

use super::super::chance::Chance;
use super::{Stock, bytes};

/// What stands in the place of a word.
const VALUES: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1",
    "65536",
    "4294967295",
    "4294967296",
    "2147483648",
    "9223372036854775808",
    "18446744073709551616",
    "1.5",
    "1e400",
    "\"\"",
    "\"x\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "{}",
    "[]",
    "[[[]]]",
    "~",
    "&a",
    "*a",
    "!!binary x",
    "é",
];
/// What is put between words.
const MARKS: [&str; 14] = [
    "{", "}", "[", "]", ",", ":", "\"", "\n", "\n  ", "- ", ": ", "#", "|", "\\",
];

/// One mutation.
pub(super) fn mutate(input: &mut Vec<u8>, stock: &Stock<'_>, chance: &mut Chance) {
    let words = words(input);
    let Some(word) = chance.pick(&words).cloned() else {
        return bytes::mutate(input, stock, chance);
    };
    match chance.below(7) {
        0 | 1 => replace(
            input,
            word,
            chance.pick(&VALUES).map(|value| value.as_bytes()),
        ),
        2 => replace(input, word, chance.pick(stock.words).map(Vec::as_slice)),
        3 => {
            let other = chance.pick(&words).cloned().unwrap_or(word.clone());
            let copy = input[other].to_vec();
            replace(input, word, Some(&copy));
        }
        4 => {
            let mark = chance.pick(&MARKS).map(|mark| mark.as_bytes());
            replace(input, word.start..word.start, mark);
        }
        5 => repeat_line(input, &word, chance),
        _ => nest(input, word, chance),
    }
}

fn replace(input: &mut Vec<u8>, range: std::ops::Range<usize>, by: Option<&[u8]>) {
    if let Some(by) = by {
        input.splice(range, by.iter().copied());
    }
}

/// From one separator to the next, once more: a member, an element, a line.
fn repeat_line(input: &mut Vec<u8>, word: &std::ops::Range<usize>, chance: &mut Chance) {
    let separates = |byte: &u8| b",\n{}[]".contains(byte);
    let start = input[..word.start]
        .iter()
        .rposition(separates)
        .map_or(0, |at| at + 1);
    let end = input[word.end..].iter().position(separates);
    let end = end.map_or(input.len(), |at| word.end + at);
    let mut piece = input[start..end].to_vec();
    piece.push(if chance.once_in(2) { b',' } else { b'\n' });
    for _ in 0..=chance.small(3) {
        input.splice(start..start, piece.iter().copied());
    }
}

fn nest(input: &mut Vec<u8>, word: std::ops::Range<usize>, chance: &mut Chance) {
    let depth = 1 + chance.small(40);
    let (open, close) = if chance.once_in(2) {
        ("[".to_owned(), "]")
    } else {
        ("{\"a\":".to_owned(), "}")
    };
    input.splice(word.end..word.end, close.repeat(depth).into_bytes());
    input.splice(word.start..word.start, open.repeat(depth).into_bytes());
}

/// Where the words are; a quoted text is one.
fn words(input: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut words = Vec::new();
    let mut at = 0;
    while at < input.len() {
        let start = at;
        if input[at] == b'"' {
            at += 1;
            while at < input.len() && input[at] != b'"' {
                at += 1 + usize::from(input[at] == b'\\');
            }
            at = (at + 1).min(input.len());
            words.push(start..at);
        } else if is_word(input[at]) {
            while at < input.len() && is_word(input[at]) {
                at += 1;
            }
            words.push(start..at);
        } else {
            at += 1;
        }
    }
    words
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-+".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found() {
        let text = br#"{"a b\"": -12, x: "#;
        let found: Vec<&[u8]> = words(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, [&br#""a b\"""#[..], b"-12", b"x"]);
    }
}
