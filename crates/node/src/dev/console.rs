//! The terminal of `dev`: redrawn in place on a TTY, plain lines otherwise; and what the user types.

use std::io::{IsTerminal, Write};

use super::picture::Picture;

/// Something that the user typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// `r [node]`: start what is down.
    BringBack(Option<u32>),
    /// `k [node]`: kill -9, without a number the controller.
    Kill(Option<u32>),
    /// `q`.
    Quit,
    /// An empty line.
    Nothing,
}

impl Order {
    /// Reads a line; the error is what to tell the user.
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (verb, node, rest) = (words.next(), words.next(), words.next());
        let node = node.map(str::parse).transpose();
        match (verb, node, rest) {
            (None, ..) => Ok(Self::Nothing),
            (Some("r"), Ok(node), None) => Ok(Self::BringBack(node)),
            (Some("k"), Ok(node), None) => Ok(Self::Kill(node)),
            (Some("q"), Ok(None), None) => Ok(Self::Quit),
            _ => Err(format!(
                "`{}` is not understood: k [node], r [node] or q",
                line.trim()
            )),
        }
    }
}

/// Where the picture goes.
pub(super) struct Console {
    in_place: bool,
    shown: Vec<String>,
}

impl Console {
    /// The process's standard output.
    pub(super) fn new() -> Self {
        let in_place = std::io::stdout().is_terminal();
        if in_place {
            write("\x1b[2J");
        }
        Self {
            in_place,
            shown: Vec::new(),
        }
    }

    /// Shows what has changed. Drawn only then, so that what is being typed stays on the screen.
    pub(super) fn show(&mut self, picture: &mut Picture) {
        let notes = picture.take_notes();
        if !self.in_place {
            for note in &notes {
                say(note.trim_start());
            }
            self.show_once(picture.what_to_try());
            return;
        }
        let lines = picture.lines();
        if lines != self.shown {
            write(&format!(
                "\x1b[H{}\x1b[K\r\n\x1b[J> ",
                lines.join("\x1b[K\r\n")
            ));
            self.shown = lines;
        }
    }

    /// Without a screen the lines to try are printed again whenever they change.
    fn show_once(&mut self, lines: Vec<String>) {
        if lines != self.shown {
            for line in &lines {
                say(line);
            }
            self.shown = lines;
        }
    }
}

/// One line of text.
pub(super) fn say(line: &str) {
    write(&format!("{line}\n"));
}

/// A closed terminal is no reason to stop the nodes.
fn write(text: &str) {
    let mut out = std::io::stdout().lock();
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        assert_eq!(Order::parse("r"), Ok(Order::BringBack(None)));
        assert_eq!(Order::parse(" r 3 "), Ok(Order::BringBack(Some(3))));
        assert_eq!(Order::parse("k 2"), Ok(Order::Kill(Some(2))));
        assert_eq!(Order::parse("q"), Ok(Order::Quit));
        assert_eq!(Order::parse(""), Ok(Order::Nothing));
    }

    #[test]
    fn anything_else_is_explained() {
        for line in ["x", "r three", "k 1 2", "q 1", "restart"] {
            assert!(
                Order::parse(line)
                    .unwrap_err()
                    .contains("k [node], r [node] or q"),
                "{line}"
            );
        }
    }
}
