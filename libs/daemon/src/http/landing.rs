//! The page at `/`: what this is, which version, where its parts are.

use super::{Reply, StatusCode, escape_html, html};
use crate::{Program, service::Link};

pub(crate) fn page(program: &Program, links: &[Link]) -> Reply {
    let mut items = String::new();
    for Link { path, text } in links {
        items.push_str(&format!(
            "<li><a href=\"{}\">{}</a></li>\n",
            escape_html(path),
            escape_html(text)
        ));
    }
    let name = escape_html(program.name);
    html(
        StatusCode::OK,
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{name}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <style>body{{font:16px/1.5 sans-serif;margin:3em auto;max-width:40em;padding:0 1em}}</style></head>\n\
             <body>\n<h1>{name}</h1>\n<p>{}</p>\n<p>Version {}</p>\n<ul>\n{items}</ul>\n</body>\n</html>\n",
            escape_html(program.about),
            escape_html(program.version),
        ),
    )
}
