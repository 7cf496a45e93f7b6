//! What should be on a node. Values alone: who fills them are the roles, who compares them with a node and makes it so is `install`.

use std::path::PathBuf;

use daemon::Secret;

/// Where everything of ours is on a node.
pub(crate) const PROGRAMS: &str = "/opt/scalar-dl-monitoring";
pub(crate) const CONFIGURATION: &str = "/etc/scalar-dl-monitoring";
pub(crate) const STATE: &str = "/var/lib/scalar-dl-monitoring";
pub(crate) const UNITS: &str = "/etc/systemd/system";
/// Jolokia's jar.
pub(crate) const JOLOKIA: &str = "/opt/scalar-dl-monitoring/jolokia/jolokia";

/// Everything that should be on one node.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Desired {
    /// Users of the system, each with a group of its name.
    pub(crate) users: Vec<String>,
    pub(crate) packages: Vec<Package>,
    pub(crate) images: Vec<Image>,
    pub(crate) programs: Vec<Artifact>,
    pub(crate) folders: Vec<Folder>,
    pub(crate) files: Vec<File>,
    /// In the order in which they are started.
    pub(crate) units: Vec<Unit>,
    pub(crate) lines: Vec<Line>,
    pub(crate) agent: Option<Agent>,
    /// Disks, in the order in which they are mounted.
    pub(crate) volumes: Vec<Volume>,
    /// What is brought to a disk from where it was before there was one.
    pub(crate) moved: Vec<Move>,
    /// Folders that are made when all is mounted, and stay whatever is uninstalled.
    pub(crate) kept: Vec<Folder>,
    /// Services of others, with `.service`, whose place ours take: they are stopped as long as they stand here, and run again afterwards.
    pub(crate) replaced: Vec<String>,
}

/// A package of the system's own, installed where its command is missing. It stays when everything of ours goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) command: &'static str,
}

/// An image of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// Its name, with the registry and the tag.
    pub(crate) reference: String,
    pub(crate) from: ImageSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageSource {
    /// The registry in its name. What a tag leads to is looked up once, when the node has none of that name.
    Registry { login: Option<(String, Secret)> },
    /// A file of the operator's machine.
    Archive {
        path: PathBuf,
        /// The image's own, in hexadecimal digits.
        id: String,
    },
}

/// A program that is installed as `PROGRAMS/name-version-hash/`, to which the link `PROGRAMS/name` leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Artifact {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the file, in hexadecimal digits.
    pub(crate) sha256: String,
    /// On the operator's machine.
    pub(crate) source: PathBuf,
    pub(crate) form: Form,
}

/// What an artifact's file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The program itself.
    Program,
    /// A tar, compressed by gzip, whose one outermost folder is left away.
    Archive,
    /// The same without such a folder.
    Flat,
}

/// A folder of data, which stays when what is in it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: String,
    /// User and group.
    pub(crate) owner: String,
    pub(crate) mode: u32,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: String,
    /// User and group.
    pub(crate) owner: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// A service of systemd. Its file is one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// With `.service`.
    pub(crate) name: String,
    /// The artifact that it runs: another version restarts it.
    pub(crate) program: Option<String>,
    /// Files a change of which restarts it: paths, or their beginnings that end with a slash.
    pub(crate) restarted_by: Vec<String>,
    /// Files a change of which makes it read its configuration anew (`systemctl reload`).
    pub(crate) reloaded_by: Vec<String>,
    /// Whether one that runs is started anew only when somebody says so. It leaves the time of its start at [`Unit::stamp`].
    pub(crate) is_stateful: bool,
    pub(crate) health: Health,
}

/// A disk for data: what is on it is ours by the id of its file system, which is made of the environment's and the disk's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    pub(crate) serial: String,
    /// The id of the file system, as `blkid` writes it.
    pub(crate) uuid: String,
    /// Where it is mounted.
    pub(crate) path: String,
    /// What mounts it, with `.mount`. Its file is one of the files.
    pub(crate) unit: String,
}

/// A folder of a service, and where it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Move {
    /// With `.service`.
    pub(crate) unit: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// A line in a file of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The first of these that is there.
    pub(crate) places: Vec<String>,
    pub(crate) text: String,
}

/// Jolokia in Cassandra's JVM: attached to one that runs, and loaded by the next start with a [`Line`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Agent {
    /// The artifact that it is, and the path of its jar.
    pub(crate) program: String,
    pub(crate) jar: String,
    /// Its options, with its port.
    pub(crate) options: String,
    pub(crate) port: u16,
    /// Files a change of which makes it read its options anew.
    pub(crate) renewed_by: Vec<String>,
}

/// What shows that a service does what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// It is active: what answers nobody, such as a timer.
    Active,
    /// A GET of this URL from the operator, through the connection to the node, gives 200.
    Get { url: String },
    /// The same as a user. URLs of https are those of a server with a certificate of the environment's authority.
    GetAs {
        url: String,
        user: String,
        password: Secret,
    },
    /// `grpc.health.v1` says that it serves.
    Grpc { host: String, port: u16 },
    /// A GET as a user gives 200, and each of these words is in the answer.
    Says {
        url: String,
        user: String,
        password: Secret,
        words: Vec<String>,
    },
}

impl Unit {
    /// A file that a stateful service writes when it starts: what changes afterwards it does not know yet.
    pub(crate) fn stamp(&self) -> Option<String> {
        let name = self.name.strip_suffix(".service").unwrap_or(&self.name);
        self.is_stateful.then(|| format!("/run/{name}/started"))
    }
}

impl Health {
    /// The URL that is asked, and who asks. None for what answers nobody, or not in HTTP.
    pub(crate) fn asked(&self) -> Option<(&str, Option<(String, Secret)>)> {
        match self {
            Self::Active | Self::Grpc { .. } => None,
            Self::Get { url } => Some((url, None)),
            Self::GetAs {
                url,
                user,
                password,
            }
            | Self::Says {
                url,
                user,
                password,
                words: _,
            } => Some((url, Some((user.clone(), password.clone())))),
        }
    }

    /// What must be in the answer.
    pub(crate) fn words(&self) -> &[String] {
        match self {
            Self::Says { words, .. } => words,
            Self::Active | Self::Get { .. } | Self::GetAs { .. } | Self::Grpc { .. } => &[],
        }
    }
}

impl Desired {
    /// The disk that something is on.
    pub(crate) fn disk(&self, path: &str) -> Option<&Volume> {
        let holds = |it: &&Volume| {
            let below = path.strip_prefix(it.path.as_str());
            below.is_some_and(|it| it.is_empty() || it.starts_with('/'))
        };
        // One may be mounted below another.
        let disks = self.volumes.iter().filter(holds);
        disks.max_by_key(|it| it.path.len())
    }

    /// Those that our services listen on.
    pub(crate) fn ports(&self) -> impl Iterator<Item = u16> {
        self.units.iter().filter_map(|it| it.health.port())
    }

    /// Users whom something belongs to, and who are not made here.
    pub(crate) fn owners(&self) -> impl Iterator<Item = &str> {
        let files = self.files.iter().map(|it| it.owner.as_str());
        let folders = self.folders.iter().chain(&self.kept);
        let owners = files.chain(folders.map(|it| it.owner.as_str()));
        let owners = owners.map(|it| it.split(':').next().unwrap_or(it));
        owners.filter(|it| *it != "root" && !self.users.iter().any(|user| user == it))
    }
}

impl Health {
    /// The port that answers.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Active => None,
            Self::Grpc { port, .. } => Some(*port),
            Self::Get { url } | Self::GetAs { url, .. } | Self::Says { url, .. } => {
                client::Url::parse(url).ok()?.port_or_known_default()
            }
        }
    }
}

impl Artifact {
    /// `name-version-hash`.
    pub(crate) fn folder(&self) -> String {
        let hash = self.sha256.get(..12).unwrap_or(&self.sha256);
        format!("{}-{}-{hash}", self.name, self.version)
    }
}

/// What is in a file may be secret.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            path,
            owner,
            mode,
            content,
        } = self;
        write!(f, "{path} {owner} {mode:o} {} bytes", content.len())
    }
}
