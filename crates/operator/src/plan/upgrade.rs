//! Which versions may follow which: never down, one minor release at a time.

use dmq_crd::names::annotation;

use super::view::View;
use crate::observed::Problem;

/// `major.minor.patch`, as far as the rule needs it.
type Release = (u64, u64, u64);

/// Why the wanted version is refused, if it is. The lowest version that a member runs is what counts: a roll that is
/// not finished can be taken back.
pub(super) fn refused(view: &View<'_>) -> Option<Problem> {
    if !view.born() || view.annotation(annotation::ALLOW_UNSAFE_UPGRADE) == Some("true") {
        return None;
    }
    let wanted = wanted(view);
    let to = release(wanted)?;
    let (from, running) = running(view)?;
    let rule = broken_rule(from, to)?;
    let message = format!(
        "version {wanted} is not rolled out: the members run {running}, and {rule}. The pods keep their template. \
         Ask for another version, or set the annotation {}: \"true\" on this object",
        annotation::ALLOW_UNSAFE_UPGRADE
    );
    Some(Problem::new("UpgradeRejected", message))
}

/// The rule that this step breaks.
fn broken_rule(from: Release, to: Release) -> Option<&'static str> {
    let next_minor = to.0 == from.0 && to.1 <= from.1 + 1;
    let next_major = to.0 == from.0 + 1 && to.1 == 0;
    if to < from {
        Some("a version never goes down")
    } else if !(next_minor || next_major) {
        Some("one minor release cannot be skipped")
    } else {
        None
    }
}

/// What the spec asks for.
fn wanted<'a>(view: &View<'a>) -> &'a str {
    let default = &view.observed.settings.version;
    view.spec().version.as_deref().unwrap_or(default)
}

/// The lowest version that a member reports; the last known one if none answers.
fn running(view: &View<'_>) -> Option<(Release, String)> {
    let reported = view
        .observed
        .members
        .values()
        .filter_map(|member| Some((release(&member.version)?, member.version.clone())))
        .min();
    reported.or_else(|| {
        let known = view.observed.cluster.status.as_ref()?.version.as_deref()?;
        Some((release(known)?, known.to_owned()))
    })
}

/// Reads a version; what stands behind the three numbers does not count.
fn release(version: &str) -> Option<Release> {
    let numbers = version.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let release = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(release)
}

#[cfg(test)]
mod tests {
    use super::{broken_rule, release};

    fn allowed(from: &str, to: &str) -> bool {
        broken_rule(
            release(from).expect("version"),
            release(to).expect("version"),
        )
        .is_none()
    }

    #[test]
    fn patches_and_the_next_minor_or_major_release_may_follow() {
        assert!(allowed("0.1.0", "0.1.0"));
        assert!(allowed("0.1.0", "0.1.7"));
        assert!(allowed("0.1.7", "0.2.0"));
        assert!(allowed("0.9.1", "1.0.0"));
        assert!(allowed("0.1.0", "0.1.1-rc.1"));
    }

    #[test]
    fn nothing_goes_down_or_skips() {
        assert!(!allowed("0.1.1", "0.1.0"));
        assert!(!allowed("0.2.0", "0.1.9"));
        assert!(!allowed("0.1.0", "0.3.0"));
        assert!(!allowed("0.1.0", "1.1.0"));
        assert!(!allowed("1.0.0", "3.0.0"));
    }

    #[test]
    fn what_is_no_version_is_not_judged() {
        for text in ["", "1", "1.2", "1.2.3.4", "a.b.c", "latest"] {
            assert_eq!(release(text), None, "{text}");
        }
    }
}
