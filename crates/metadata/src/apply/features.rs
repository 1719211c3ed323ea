//! `SET_FEATURE_LEVEL`: the only command that raises the level.

use super::context::{Context, Decision};
use crate::ids::FeatureLevel;
use crate::outcome::{Rejection, RejectionCode, Reply};

/// Raises the level. The level in force again is no change; a lower one is refused.
pub(super) fn set(context: &Context<'_>, level: FeatureLevel) -> Result<Decision, Rejection> {
    let current = context.image.feature_level();
    if level < current {
        let rule = format!("the level in force is {current}, and it is never lowered");
        let code = RejectionCode::FeatureUpdateFailed;
        return Err(Rejection::new(code, "featureLevel", level, &rule));
    }
    let mut decision = Decision::new(Reply::FeatureLevelSet(level), Vec::new());
    decision.feature_level = (level > current).then_some(level);
    Ok(decision)
}
