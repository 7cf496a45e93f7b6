//! The messages that are kept: in memory, and in a file of bounded size, a line each.

use std::{
    collections::VecDeque,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::Context as _;

use super::Message;

/// Older ones are let go.
const KEPT: usize = 500;

/// The kept messages, oldest first.
pub(super) struct Store {
    path: PathBuf,
    messages: Mutex<VecDeque<Message>>,
}

impl Store {
    /// Reads what was kept; a line that is none, cut off by a crash, is passed over.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let mut messages: VecDeque<Message> = text
            .lines()
            .filter_map(|it| serde_json::from_str(it).ok())
            .collect();
        while messages.len() > KEPT {
            messages.pop_front();
        }
        let store = Self {
            path: path.to_owned(),
            messages: Mutex::new(messages),
        };
        store
            .rewrite()
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(store)
    }

    /// Keeps a message. It is on disk when this returns.
    pub(super) fn add(&self, mut message: Message) -> io::Result<()> {
        let mut messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        message.id = messages.back().map_or(1, |it| it.id + 1);
        message.time = jiff::Timestamp::now().to_string();
        let line = serde_json::to_string(&message).map_err(io::Error::other)? + "\n";
        let mut file = fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)?;
        file.write_all(line.as_bytes())?;
        tracing::info!(channel = ?message.channel, title = message.title, "message");
        messages.push_back(message);
        if messages.len() > KEPT {
            messages.pop_front();
            // Not with each message: the file may grow to twice the number.
            if messages.back().is_some_and(|it| it.id % 500 == 0) {
                drop(messages);
                self.rewrite()?;
            }
        }
        Ok(())
    }

    pub(super) fn newest_first(&self) -> Vec<Message> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        messages.iter().rev().cloned().collect()
    }

    fn rewrite(&self) -> io::Result<()> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for message in &*messages {
            text.push_str(&serde_json::to_string(message).map_err(io::Error::other)?);
            text.push('\n');
        }
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, text)?;
        fs::rename(fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{KEPT, Message, Store};

    #[test]
    fn survives_and_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inbox.jsonl");
        let store = Store::open(&path).unwrap();
        for number in 0..KEPT + 20 {
            store
                .add(Message::from_slack(&json!({"text": format!("m{number}")})).unwrap())
                .unwrap();
        }
        assert_eq!(store.newest_first().len(), KEPT);
        std::fs::write(
            &path,
            std::fs::read_to_string(&path).unwrap() + "{\"id\": 5, \"ti",
        )
        .unwrap();
        let again = Store::open(&path).unwrap();
        assert_eq!(again.newest_first(), store.newest_first());
        again
            .add(Message::from_slack(&json!({"text": "last"})).unwrap())
            .unwrap();
        assert_eq!(
            again.newest_first()[0].id,
            u64::try_from(KEPT).unwrap() + 21
        );
    }
}
