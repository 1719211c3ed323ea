//! Sizes as Kubernetes writes them (`10Gi`, `500M`, `1.5e9`), compared exactly.

use std::cmp::Ordering;

/// A quantity, counted in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(i128);

impl Quantity {
    /// Reads a quantity; `None` if the text is none, or is beyond 2^63. More than three decimal places are rounded up, as in Kubernetes.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let end = text
            .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
            .unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let decimals = u32::try_from(fraction.len()).ok()?;
        let (times, parts) = scale(suffix)?;
        // value = digits * times * 1000 / (parts * 10^decimals)
        let over = digits.checked_mul(times)?.checked_mul(1000)?;
        let under = parts.checked_mul(10_i128.checked_pow(decimals)?)?;
        let value = over / under + i128::from(over % under != 0);
        let value = if negative { -value } else { value };
        (value.abs() <= i128::from(i64::MAX) * 1000).then_some(Self(value))
    }
}

/// How the order of two sizes is; `None` if one is no quantity.
pub fn compare(left: &str, right: &str) -> Option<Ordering> {
    Some(Quantity::parse(left)?.cmp(&Quantity::parse(right)?))
}

/// Multiplier and divisor of a suffix.
fn scale(suffix: &str) -> Option<(i128, i128)> {
    let times = match suffix {
        "" => 1,
        "n" => return Some((1, 1_000_000_000)),
        "u" => return Some((1, 1_000_000)),
        "m" => return Some((1, 1_000)),
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "P" => 1_000_000_000_000_000,
        "E" => 1_000_000_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        "Pi" => 1 << 50,
        "Ei" => 1 << 60,
        _ => return exponent(suffix),
    };
    Some((times, 1))
}

/// `e9`, `E-3`.
fn exponent(suffix: &str) -> Option<(i128, i128)> {
    let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let scale = 10_i128.checked_pow(power.unsigned_abs())?;
    Some(if power < 0 { (1, scale) } else { (scale, 1) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_sizes_are_equal_in_every_spelling() {
        for (left, right) in [
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("1k", "1000"),
            ("1e9", "1G"),
            ("1E3", "1k"),
            ("1500m", "1.5"),
            ("+5", "5.0"),
            (".5", "500m"),
            ("0.1m", "1m"),
            ("10.Gi", "10Gi"),
        ] {
            assert_eq!(
                compare(left, right),
                Some(Ordering::Equal),
                "{left} {right}"
            );
        }
    }

    #[test]
    fn sizes_are_ordered_by_what_they_mean() {
        for (less, more) in [
            ("10G", "10Gi"),
            ("9Gi", "10Gi"),
            ("1Ti", "2000Gi"),
            ("-1", "0"),
            ("7Ei", "7.5Ei"),
        ] {
            assert_eq!(compare(less, more), Some(Ordering::Less), "{less} {more}");
            assert_eq!(
                compare(more, less),
                Some(Ordering::Greater),
                "{more} {less}"
            );
        }
    }

    #[test]
    fn what_is_no_quantity_is_not_compared() {
        for text in [
            "", "Gi", ".", "1.2.3", "1 Gi", "1gi", "ten", "1e", "1e1.5", "--1", "1GiB", "9Ei",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }
}
