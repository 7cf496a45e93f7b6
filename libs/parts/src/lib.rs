//! libs/parts.
