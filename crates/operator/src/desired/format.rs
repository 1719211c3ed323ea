//! Forms of names and values, as far as Kubernetes does not check them.

/// 1 to 64 of A-Z a-z 0-9 _ -.
pub(super) fn is_cluster_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// RFC 1035: what a Service may be called.
pub(super) fn is_service_name(text: &str) -> bool {
    text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// RFC 1123 labels joined by dots: a host name, or a domain.
pub(super) fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// `major.minor.patch` with an optional pre-release or build behind it.
pub(super) fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let parts: Vec<&str> = core.split('.').collect();
    let rest = &text[core.len()..];
    parts.len() == 3
        && parts.into_iter().all(number)
        && rest
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-+.".contains(&b))
        && !rest.ends_with(['-', '+', '.'])
}

/// A database name that needs no quoting in a URL and fits PostgreSQL's 63 bytes.
pub(super) fn is_database_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}

/// The reference of an image, as far as a typing error shows.
pub(super) fn is_image(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && !text.ends_with(['/', ':', '@', '.', '-'])
        && !text.contains("//")
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
}

/// The value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified(text)
}

/// The key of a label or an annotation: a name, or a domain, a slash and a name.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_domain(&prefix.to_lowercase()) && is_qualified(name),
        None => is_qualified(text),
    }
}

fn is_qualified(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.starts_with(edge)
        && text.ends_with(edge)
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(rule(text), "'{text}' is refused");
        }
        for text in bad {
            assert!(!rule(text), "'{text}' is accepted");
        }
    }

    #[test]
    fn versions_have_three_numbers() {
        check(
            is_version,
            &["0.1.0", "1.20.3", "1.0.0-rc.1", "1.0.0+build"],
            &[
                "", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.x", "1.2.3-", "latest",
            ],
        );
    }

    #[test]
    fn names_of_services_begin_with_a_letter_and_have_no_dot() {
        check(
            is_service_name,
            &["meta", "m1", "a-b"],
            &["", "1meta", "a.b", "-a", "a-", "Meta", "a_b"],
        );
    }

    #[test]
    fn database_names_fit_a_url_and_postgresql() {
        check(
            is_database_name,
            &["dmq_7", "_x", "team-a_7"],
            &["", "7", "a b", "a/b", "dmq_{nodeid}", &"x".repeat(64)],
        );
    }

    #[test]
    fn labels_and_images_are_checked_as_far_as_typing_errors_show() {
        check(
            is_label_value,
            &["", "a", "a.b_c-d"],
            &["-a", "a b", &"x".repeat(64)],
        );
        check(
            is_label_key,
            &["team", "example.com/team"],
            &["", "a/b/c", "/x", "a b"],
        );
        check(
            is_image,
            &["postgres:15", "host:5000/a/b:1", "a@sha256:0f"],
            &["", "a b", "a:", "/a", "a//b"],
        );
    }
}
