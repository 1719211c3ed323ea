//! Sizes as Kubernetes writes them, compared by value.

/// Whether two quantities are the same number. What cannot be read is compared by its letters.
pub(super) fn same(one: &str, other: &str) -> bool {
    match (value(one), value(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

/// The quantity in thousandths: `1.5Gi`, `10G`, `500m`, `1e3`.
fn value(quantity: &str) -> Option<i128> {
    let split = quantity
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(quantity.len());
    let (number, suffix) = quantity.split_at(split);
    let (numerator, denominator) = scale(suffix)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let tenths = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let scaled = digits.checked_mul(numerator)?.checked_mul(1000)?;
    // Rounded up, as Kubernetes does.
    let divisor = tenths.checked_mul(denominator)?;
    Some(scaled.checked_add(divisor - 1)? / divisor)
}

/// What the suffix multiplies by, as a fraction.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let factor = match suffix {
        "m" => return Some((1, 1000)),
        "" => 1,
        "k" => 1000,
        "M" => 1000_i128.pow(2),
        "G" => 1000_i128.pow(3),
        "T" => 1000_i128.pow(4),
        "P" => 1000_i128.pow(5),
        "E" => 1000_i128.pow(6),
        "Ki" => 1024,
        "Mi" => 1024_i128.pow(2),
        "Gi" => 1024_i128.pow(3),
        "Ti" => 1024_i128.pow(4),
        "Pi" => 1024_i128.pow(5),
        "Ei" => 1024_i128.pow(6),
        exponent => {
            let power = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            10_i128.checked_pow(power)?
        }
    };
    Some((factor, 1))
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn the_same_size_in_other_words_is_the_same() {
        for (one, other) in [
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000M", "1G"),
            ("1e9", "1G"),
            ("1E", "1000P"),
            ("2000m", "2"),
            ("512Gi", "0.5Ti"),
        ] {
            assert!(same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn another_size_is_another_size() {
        for (one, other) in [
            ("1Gi", "1G"),
            ("10Gi", "11Gi"),
            ("nonsense", "1Gi"),
            ("", "0"),
            (".", "0"),
        ] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }
}
