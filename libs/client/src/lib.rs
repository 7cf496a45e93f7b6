//! libs/client.
