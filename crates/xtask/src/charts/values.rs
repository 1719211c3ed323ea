//! The table of values in the chart's README, from `values.yaml` and its comments.

use anyhow::{Context as _, ensure};

const BEGIN: &str = "<!-- values:begin -->\n";
const END: &str = "<!-- values:end -->\n";

/// One row: the value that `--set` takes.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    path: String,
    default: String,
    about: String,
}

/// The page with the table renewed.
pub(super) fn into_page(page: &str, values: &str) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .with_context(|| format!("no line {BEGIN}"))?;
    let (_, after) = rest
        .split_once(END)
        .with_context(|| format!("no line {END}"))?;
    let rows = rows(values)?;
    let table: String = rows.iter().map(line).collect();
    Ok(format!(
        "{before}{BEGIN}| value | default | what it does |\n|---|---|---|\n{table}{END}{after}"
    ))
}

fn line(row: &Row) -> String {
    format!("| `{}` | `{}` | {} |\n", row.path, row.default, row.about)
}

/// Every key that has a value, or a comment of its own and a value of several lines.
fn rows(values: &str) -> anyhow::Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut about = String::new();
    for line in values.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        if text.is_empty() {
            about.clear();
        } else if let Some(comment) = text.strip_prefix('#') {
            let space = if about.is_empty() { "" } else { " " };
            about = format!("{about}{space}{}", comment.trim());
        } else if let Some((key, default)) = key(text) {
            above.retain(|(outer, _)| *outer < depth);
            above.push((depth, key.to_owned()));
            let comment = std::mem::take(&mut about);
            if !default.is_empty() {
                rows.push(row(&above, default, &comment));
            }
        }
    }
    for row in &rows {
        ensure!(
            !row.path.contains(' '),
            "values.yaml: `{}` is no key",
            row.path
        );
    }
    Ok(rows)
}

fn row(above: &[(usize, String)], default: &str, about: &str) -> Row {
    let keys: Vec<&str> = above.iter().map(|(_, key)| key.as_str()).collect();
    Row {
        path: keys.join("."),
        default: default.to_owned(),
        about: about.replace('|', "\\|"),
    }
}

/// `key: value`; the value is empty where a mapping follows.
fn key(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(':')?;
    Some((key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: &str = "# Values of x.\n\n# How many.\ncount: 1\n\n# An image.\nimage:\n  # Where\n  # from.\n  repository: a/b\n  tag: \"\"\nempty: {}\n";

    #[test]
    fn rows_carry_path_default_and_comment() {
        let row = |path: &str, default: &str, about: &str| Row {
            path: path.to_owned(),
            default: default.to_owned(),
            about: about.to_owned(),
        };
        assert_eq!(
            rows(VALUES).unwrap(),
            [
                row("count", "1", "How many."),
                row("image.repository", "a/b", "Where from."),
                row("image.tag", "\"\"", ""),
                row("empty", "{}", ""),
            ]
        );
    }

    #[test]
    fn only_the_table_of_a_page_is_renewed() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let renewed = into_page(&page, "# x\n\n# One.\none: 1\n").unwrap();
        assert!(renewed.starts_with("a\n") && renewed.ends_with("b\n"));
        assert!(renewed.contains("| `one` | `1` | One. |\n") && !renewed.contains("old"));
        assert!(into_page("no markers", VALUES).is_err());
    }
}
