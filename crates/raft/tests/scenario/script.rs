//! Scenario files: comments and blocks of commands, each block followed by `----` and its output.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::command;
use super::world::World;

/// Runs a file. Returns the first difference as text, or rewrites the file when told to.
pub(crate) fn check(file: &Path, update: bool) -> Option<String> {
    let text = fs::read_to_string(file).unwrap();
    let actual = replay(file, &text);
    if actual == text {
        return None;
    }
    if update {
        fs::write(file, actual).unwrap();
        return None;
    }
    let (expected, found): (Vec<_>, Vec<_>) = (text.lines().collect(), actual.lines().collect());
    let same = expected
        .iter()
        .zip(&found)
        .take_while(|(a, b)| a == b)
        .count();
    let line = |lines: &[&str]| (*lines.get(same).unwrap_or(&"(end)")).to_owned();
    let (name, number) = (file.display(), same + 1);
    Some(format!(
        "{name}:{number}\n  expected: {}\n  found:    {}",
        line(&expected),
        line(&found)
    ))
}

/// The file with the outputs that its commands have now.
fn replay(file: &Path, text: &str) -> String {
    let mut world = World::default();
    let mut out = String::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if line == "----" {
            while lines.next_if(|(_, line)| !line.is_empty()).is_some() {}
            let printed = std::mem::take(&mut world.out);
            out.push_str(if printed.is_empty() {
                "nothing\n"
            } else {
                &printed
            });
        } else if !line.is_empty() && !line.starts_with('#') {
            let place = format!("{}:{}: {line}", file.display(), number + 1);
            command::run(&mut world, line, &place);
        }
    }
    assert!(
        world.out.is_empty(),
        "{}: output without `----` at the end",
        file.display()
    );
    out
}
