//! Writes the rendered dashboards and rules to the files that are checked in.

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rendered = dashboards::render(&dashboards::Settings::default());
    for (folder, files) in [("grafana", rendered.grafana), ("rules", rendered.rules)] {
        for file in files {
            fs::write(root.join(folder).join(file.name), file.text)?;
        }
    }
    Ok(())
}
