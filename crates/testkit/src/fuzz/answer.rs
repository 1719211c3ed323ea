//! What a decoder said about one input, reduced to its kind.

use std::fmt::{self, Debug, Display, Write as _};

/// Whether an input was taken, and the shape of what was said: numbers and quoted text left out, so that "field 7 is
/// missing" and "field 8 is missing" are one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// The input is one.
    pub taken: bool,
    shape: u64,
}

impl Answer {
    /// The input was decoded to this.
    pub fn taken(value: &impl Debug) -> Self {
        let mut shape = Shape::new();
        // The sink ends the formatting when it has seen enough.
        let _ = write!(shape, "{value:?}");
        let (taken, shape) = (true, shape.hash);
        Self { taken, shape }
    }

    /// The input was refused for this reason.
    pub fn refused(reason: &impl Display) -> Self {
        let mut shape = Shape::new();
        let _ = write!(shape, "{reason}");
        let (taken, shape) = (false, shape.hash);
        Self { taken, shape }
    }

    /// This answer and another one, of two decoders that saw the input: taken if one of them took it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            taken: self.taken || other.taken,
            shape: self.shape.rotate_left(1) ^ other.shape,
        }
    }
}

/// Characters of a text that its shape depends on.
const SEEN_MAX: usize = 1500;

/// A sink that hashes (FNV-1a) what is left of a text without numbers, lists of them and quoted text.
struct Shape {
    hash: u64,
    left: usize,
    quoted: bool,
    escaped: bool,
}

impl Shape {
    fn new() -> Self {
        Self {
            hash: 0xcbf2_9ce4_8422_2325,
            left: SEEN_MAX,
            quoted: false,
            escaped: false,
        }
    }

    fn take(&mut self, byte: u8) {
        let escaped = std::mem::take(&mut self.escaped);
        match byte {
            _ if escaped => return,
            b'\\' if self.quoted => {
                self.escaped = true;
                return;
            }
            b'"' | b'`' => self.quoted = !self.quoted,
            _ if self.quoted => return,
            b'0'..=b'9' | b',' | b' ' | b'-' | b'.' => return,
            _ => {}
        }
        self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}

impl fmt::Write for Shape {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let seen = text.len().min(self.left);
        for byte in &text.as_bytes()[..seen] {
            self.take(*byte);
        }
        self.left -= seen;
        if self.left == 0 {
            Err(fmt::Error)
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_quoted_text_do_not_count() {
        let refused = |text: &str| Answer::refused(&text);
        assert_eq!(
            refused("offset 17: `abc` is unknown"),
            refused("offset 4: `d` is unknown")
        );
        assert_ne!(
            refused("offset 17: too long"),
            refused("offset 17: too short")
        );
        assert_eq!(Answer::taken(&[1, 2]), Answer::taken(&[3, 4, 5]));
        assert_ne!(Answer::taken(&Some(1)), Answer::taken(&None::<u8>));
        assert_ne!(Answer::taken(&1), Answer::refused(&1));
    }
}
