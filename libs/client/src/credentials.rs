//! Who we are to a server: passwords, tokens and certificates in files, read anew so that they may be exchanged.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, header::HeaderValue};

use crate::{ClientError, Observer, Settings, Tls, client};

/// Larger files are no passwords or certificates.
const MAX_FILE: u64 = 1 << 20;

/// Whom to trust and who we are, by the files that hold it.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// How it is proved who we are.
    pub login: Login,
    /// PEM file of authorities in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate; needs the key.
    pub cert_file: Option<PathBuf>,
    /// PEM file of its key.
    pub key_file: Option<PathBuf>,
    /// The name that the server's certificate must have, when it is not the one of the URL.
    pub server_name: Option<String>,
    /// Trust every certificate.
    pub insecure_skip_verify: bool,
}

/// How it is proved who we are.
#[derive(Debug, Clone)]
pub enum Login {
    /// Not at all.
    None,
    /// User and password (RFC 7617).
    Basic(String, SecretFrom),
    /// A token (RFC 6750).
    Bearer(SecretFrom),
}

/// A secret, or the file that holds it. The secret does not print.
#[derive(Clone)]
pub enum SecretFrom {
    /// The secret itself.
    Value(String),
    /// A file; white space around the secret is none of it.
    File(PathBuf),
}

impl fmt::Debug for SecretFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(_) => f.write_str("<secret>"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Why there is no client, or nothing to prove who we are. None of it shows a secret.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file for a secret has none.
    #[error("{} holds no more than white space", .0.display())]
    EmptyFile(PathBuf),
    /// The secret cannot be sent.
    #[error("the secret has characters that no header may have")]
    Secret,
    /// The certificates are none.
    #[error("cannot make a client of the files of authorities, certificate and key")]
    Client(#[from] ClientError),
}

/// A client that has the certificates of its files, as they are at each look.
pub struct FileClient {
    credentials: Credentials,
    settings: Settings,
    /// The client, and the certificates that it was made of.
    kept: Mutex<Option<(Tls, Client)>>,
}

impl FileClient {
    /// Reads the files once, so that what is wrong with them is known at the start. What `settings` say of TLS is not looked at.
    ///
    /// # Errors
    /// When a file cannot be read, or what is in it cannot be used.
    pub fn new(credentials: Credentials, settings: Settings) -> Result<Self, CredentialsError> {
        let client = Self {
            credentials,
            settings,
            kept: Mutex::new(None),
        };
        client.current()?;
        Ok(client)
    }

    /// Reads the files anew: the client, and the `Authorization` header if there is one.
    ///
    /// # Errors
    /// As [`FileClient::new`].
    pub fn current(&self) -> Result<(Client, Option<HeaderValue>), CredentialsError> {
        let authorization = match &self.credentials.login {
            Login::None => None,
            Login::Basic(user, password) => {
                let pair = STANDARD.encode(format!("{user}:{}", password.read()?));
                Some(format!("Basic {pair}"))
            }
            Login::Bearer(token) => Some(format!("Bearer {}", token.read()?)),
        };
        let authorization = authorization.map(|text| {
            let mut value =
                HeaderValue::from_str(&text).map_err(|_error| CredentialsError::Secret)?;
            value.set_sensitive(true);
            Ok::<_, CredentialsError>(value)
        });
        Ok((self.client()?, authorization.transpose()?))
    }

    fn client(&self) -> Result<Client, CredentialsError> {
        let files = &self.credentials;
        let text = |path: &Option<PathBuf>| path.as_deref().map(read_text).transpose();
        let tls = Tls {
            ca: text(&files.ca_file)?,
            identity: text(&files.cert_file)?.zip(text(&files.key_file)?),
            server_name: files.server_name.clone(),
            insecure_skip_verify: files.insecure_skip_verify,
            ..Tls::default()
        };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((its, client)) = kept.as_ref()
            && *its == tls
        {
            return Ok(client.clone());
        }
        let client = client(&Settings {
            tls: tls.clone(),
            ..self.settings.clone()
        })?;
        *kept = Some((tls, client.clone()));
        Ok(client)
    }
}

impl Observer {
    /// One that trusts the authorities of a PEM file, or those of the system.
    ///
    /// # Errors
    /// When the file cannot be read, or what is in it cannot be used.
    pub fn of_file(ca_file: Option<&Path>) -> Result<Self, CredentialsError> {
        let tls = Tls {
            ca: ca_file.map(read_text).transpose()?,
            ..Tls::default()
        };
        Ok(Self::new(&tls)?)
    }
}

impl SecretFrom {
    fn read(&self) -> Result<String, CredentialsError> {
        match self {
            Self::Value(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let text = read_text(path)?;
                let secret = text.trim();
                if secret.is_empty() {
                    return Err(CredentialsError::EmptyFile(path.clone()));
                }
                Ok(secret.to_owned())
            }
        }
    }
}

fn read_text(path: &Path) -> Result<String, CredentialsError> {
    use io::Read as _;
    let read = || {
        let mut text = String::new();
        fs::File::open(path)?
            .take(MAX_FILE)
            .read_to_string(&mut text)?;
        Ok(text)
    };
    read().map_err(|source| CredentialsError::File {
        path: path.to_owned(),
        source,
    })
}
