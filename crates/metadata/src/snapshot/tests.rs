//! Round trips and refusals of snapshot content.
