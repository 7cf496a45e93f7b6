//! A ledger of Scalar DL: a container that systemd runs by podman, with its properties in a file, and passwords in its environment alone.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::bail;
use daemon::Secret;

use super::{Place, unit::adapted};
use crate::{
    config::Config,
    desired::{CONFIGURATION, File, Health, Image, ImageSource, Package, UNITS, Unit},
    network::{Network, Role},
    roles::Materials,
};

const NAME: &str = "scalardl";
/// The ledgers' service.
pub(crate) const SERVICE: &str = "scalardl.service";
const UNIT: &str = include_str!("../../data/units/scalardl.service");
/// Clients and their health, the privileged, and who pauses it; as the image has them.
pub(crate) const PORT: u16 = 50051;
pub(crate) const PRIVILEGED: u16 = 50052;

const IMAGE: &str = "ghcr.io/scalar-labs/scalardl-ledger";
const SCHEMA_IMAGE: &str = "ghcr.io/scalar-labs/scalardl-schema-loader";
/// The tag of an archive whose image was given none.
const ARCHIVE: &str = "archive";
const CASSANDRA: &str = "cassandra";

/// What runs containers. crun knows containers without groups of their own, which systemd's take the place of.
pub(crate) const PACKAGES: [Package; 2] = [
    Package {
        name: "crun",
        command: "crun",
    },
    Package {
        name: "podman",
        command: "podman",
    },
];

/// How ledgers reach the Cassandra that keeps them.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) points: Vec<String>,
    pub(crate) user: String,
    pub(crate) password: Secret,
}

pub(super) fn add(place: &mut Place<'_>) -> anyhow::Result<()> {
    if !place.config().installs(Role::ScalarDl) {
        return Ok(());
    }
    let image = image(place.config(), place.materials)?;
    let folder = format!("{CONFIGURATION}/{NAME}");
    let runs = match &image.from {
        // The one that it is, whatever its name leads to later: so what was before can come back.
        ImageSource::Archive { id, .. } => id,
        ImageSource::Registry { .. } => &image.reference,
    };
    let unit = adapted(
        UNIT,
        &[
            ("ENVIRONMENT", &format!("{folder}/ledger.env")),
            ("PROPERTIES", &format!("{folder}/ledger.properties")),
            ("IMAGE", runs),
        ],
    )?;
    let mut environment =
        "# Written by `provisioner install`; changes are lost.\nJAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=60\n"
            .to_owned();
    let mut properties = BTreeMap::new();
    let database = database(place.network, place.materials)?;
    if let Some(Database {
        points,
        user,
        password,
    }) = &database
    {
        let points = points.join(",");
        // By those that the image knows, and named in its properties.
        for (name, value) in [
            ("CONTACT_POINTS", points.as_str()),
            ("STORAGE", CASSANDRA),
            ("USERNAME", user),
            ("PASSWORD", password.expose()),
        ] {
            if value.contains(['\n', '\r']) {
                bail!("what Cassandra is asked with has a line break in it ({name})");
            }
            environment.push_str(&format!("SCALAR_DB_{name}={value}\n"));
            let property = format!("scalar.db.{}", name.to_lowercase());
            properties.insert(property, format!("${{env:SCALAR_DB_{name}}}"));
        }
    }
    let own = place.config().texts("scalar_properties");
    properties.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let lines = properties
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    let text: String = lines.collect();
    let text = format!("# Written by `provisioner install`; changes are lost.\n{text}");
    let files = [
        (format!("{folder}/ledger.env"), 0o600, environment),
        (format!("{folder}/ledger.properties"), 0o644, text),
        (format!("{UNITS}/{SERVICE}"), 0o644, unit),
    ];
    let desired = &mut place.desired;
    let restarted_by = files.iter().map(|it| it.0.clone()).collect();
    for (path, mode, text) in files {
        desired.files.push(File {
            path,
            owner: "root".to_owned(),
            mode,
            content: text.into(),
        });
    }
    desired.packages.extend(PACKAGES);
    desired.images.push(image);
    desired.units.push(Unit {
        name: SERVICE.to_owned(),
        program: None,
        restarted_by,
        reloaded_by: Vec::new(),
        is_stateful: false,
        health: Health::Grpc {
            host: place.node.private_address.clone(),
            port: PORT,
        },
    });
    Ok(())
}

/// How ledgers reach Cassandra; None when something else keeps them, of which scalar_properties says all.
pub(crate) fn database(
    network: &Network,
    materials: &Materials,
) -> anyhow::Result<Option<Database>> {
    let config = &network.config;
    if !config.keeps_ledger_in_cassandra() {
        return Ok(None);
    }
    let points = match config.text("cassandra_contact_points") {
        Some(given) => given.split(',').map(|it| it.trim().to_owned()).collect(),
        None => {
            let nodes = network.nodes.iter();
            let nodes = nodes.filter(|it| it.roles.contains(&Role::Cassandra));
            nodes.map(|it| it.private_address.clone()).collect()
        }
    };
    let points: Vec<String> = points;
    if points.is_empty() {
        bail!(
            "ledgers need a Cassandra: no node has the role cassandra, and config.json has no cassandra_contact_points"
        );
    }
    let (user, password) = match (
        config.text("cassandra_user"),
        config.secret("cassandra_password"),
    ) {
        (Some(user), Some(password)) => (user.to_owned(), password.clone()),
        // That of a Cassandra which is installed from here.
        _ => (NAME.to_owned(), materials.secrets.scalardl.clone()),
    };
    Ok(Some(Database {
        points,
        user,
        password,
    }))
}

/// The ledger's image.
fn image(config: &Config, materials: &Materials) -> anyhow::Result<Image> {
    named(config, "scalar_image", IMAGE, &materials.images.ledger)
}

/// The image that makes its schema.
pub(crate) fn schema_image(config: &Config, materials: &Materials) -> anyhow::Result<Image> {
    named(
        config,
        "scalar_schema_image",
        SCHEMA_IMAGE,
        &materials.images.schema,
    )
}

fn named(
    config: &Config,
    key: &str,
    usual: &str,
    archive: &Option<(PathBuf, String)>,
) -> anyhow::Result<Image> {
    let name = config.text(key).unwrap_or(usual);
    let tag = match (config.text("tag"), archive) {
        (Some(tag), _) => tag,
        (None, Some(_)) => ARCHIVE,
        (None, None) => bail!("config.json: tag is missing: which image of {name}"),
    };
    for part in [name, tag] {
        let is_fine = |it: u8| it.is_ascii_alphanumeric() || b"._-:/".contains(&it);
        if !part.bytes().all(is_fine) || part.starts_with('-') {
            bail!("config.json: {key}, tag: {part:?} is no part of an image's name");
        }
    }
    let registry = name.split_once('/').map_or("", |it| it.0);
    let home = if registry.contains(['.', ':']) || registry == "localhost" {
        ""
    } else {
        "docker.io/"
    };
    let from = match archive {
        Some((path, id)) => ImageSource::Archive {
            path: path.clone(),
            id: id.clone(),
        },
        None => ImageSource::Registry {
            login: config
                .text("docker_user")
                .zip(config.secret("docker_password"))
                .map(|(user, password)| (user.to_owned(), password.clone())),
        },
    };
    Ok(Image {
        reference: format!("{home}{name}:{tag}"),
        from,
    })
}
