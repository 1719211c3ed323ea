//! Properties of placement.
