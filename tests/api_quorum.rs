//! One node and its REST surface.
