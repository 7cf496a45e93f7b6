//! The program under test, in one folder over all its lives.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::TempDir;
use testkit::{Program, Running, get};

/// Where its configuration and its storage are.
#[derive(Debug)]
pub(crate) struct Home {
    folder: PathBuf,
    _temporary: Option<TempDir>,
}

/// One life.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
}

impl Home {
    pub(crate) fn temporary(config: &str) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let home = Self::at(temporary.path(), config);
        Self {
            _temporary: Some(temporary),
            ..home
        }
    }

    pub(crate) fn at(folder: &Path, config: &str) -> Self {
        fs::write(folder.join("router.yml"), config).unwrap();
        Self {
            folder: folder.to_owned(),
            _temporary: None,
        }
    }

    pub(crate) fn storage(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn start(&self) -> Router {
        self.start_with(None)
    }

    /// With faults of the disk.
    pub(crate) fn start_with(&self, faults: Option<&str>) -> Router {
        // Another program shows that the checks find what it breaks.
        let program = match std::env::var_os("CRASH_PROGRAM") {
            Some(path) => Program::at(path),
            None => Program::new("alert-router"),
        };
        let mut program = program
            .arg_path("--config.file", &self.folder.join("router.yml"))
            .arg_path("--storage.path", &self.storage())
            .args([
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ]);
        if let Some(faults) = faults {
            program = program.env("ALERT_ROUTER_TEST_FAULTS", faults);
        }
        let running = program.start();
        let address = running.address();
        Router { running, address }
    }
}

impl Router {
    pub(crate) fn json(&self, path: &str) -> Value {
        let (status, body) = get(self.address, path)
            .unwrap_or_else(|| panic!("no answer to GET {path}:\n{}", self.running.log()));
        assert_eq!(status, 200, "GET {path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn is_ready(&self) -> bool {
        get(self.address, "/-/ready").is_some_and(|(status, _)| status == 200)
    }
}
