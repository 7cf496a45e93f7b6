//! libs/testkit.
