//! Templates: none panics, whatever it holds.

#![no_main]

use std::sync::OnceLock;

use alert_router::fuzz::Renderer;
use libfuzzer_sys::fuzz_target;

static RENDERER: OnceLock<Option<Renderer>> = OnceLock::new();

fuzz_target!(|text: &str| {
    if let Some(renderer) = RENDERER.get_or_init(Renderer::new) {
        renderer.render(text);
    }
});
