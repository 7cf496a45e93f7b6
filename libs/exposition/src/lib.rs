//! libs/exposition.
