//! Tests of the REST interface against a member without a quorum.
