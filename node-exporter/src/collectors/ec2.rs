//! `node_ec2_info`: which instance this is, from EC2's metadata service (IMDSv2). It is asked beside the scrapes, until it answers
//! and then once an hour.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use daemon::{CollectError, Collector, Scrape};
use exposition::{Desc, Family};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Handle,
    time::{sleep, timeout},
};

use super::{Entry, gauge};
use crate::flags::{FlagError, given, value};

pub(super) const ENTRY: Entry = Entry {
    name: "ec2",
    default: false,
    flags: |command| {
        value(
            command,
            ENDPOINT,
            true,
            "Address and port of the metadata service (default: 169.254.169.254:80)",
        )
    },
    make: |setup| {
        let endpoint = given(setup.matches, ENDPOINT).unwrap_or("169.254.169.254:80");
        let endpoint = endpoint.parse().map_err(|_error| FlagError::Choice {
            flag: ENDPOINT.to_owned(),
            value: endpoint.to_owned(),
            choices: "address:port".to_owned(),
        })?;
        let known = Arc::default();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(keep_asking(endpoint, Arc::clone(&known)));
        }
        Ok(Box::new(Ec2 { known }))
    },
    descs: &[INFO],
};

const ENDPOINT: &str = "collector.ec2.endpoint";
const INFO: Desc = gauge(
    "node_ec2_info",
    "The EC2 instance that this is, value is always 1.",
)
.labels(&["instance_id", "instance_type", "availability_zone"]);
/// What is asked for, in the order of the labels.
const PATHS: [&str; 3] = [
    "instance-id",
    "instance-type",
    "placement/availability-zone",
];

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two tries while there is no answer, and after one.
const AGAIN: Duration = Duration::from_secs(10);
const RENEW: Duration = Duration::from_secs(3600);
/// An answer is a word.
const MAX_ANSWER: u64 = 4096;

type Known = Mutex<Option<[String; PATHS.len()]>>;

struct Ec2 {
    known: Arc<Known>,
}

impl Collector for Ec2 {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn collect(&self, _: &Scrape, out: &mut Vec<Family>) -> Result<(), CollectError> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let values = known.ok_or(CollectError::NoData)?;
        let mut family = Family::of(&INFO);
        family.push(&values.each_ref().map(String::as_str), 1.0);
        out.push(family);
        Ok(())
    }
}

async fn keep_asking(endpoint: SocketAddr, known: Arc<Known>) {
    let mut told = false;
    loop {
        let wait = match ask(endpoint).await {
            Ok(values) => {
                *known.lock().unwrap_or_else(PoisonError::into_inner) = Some(values);
                RENEW
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%endpoint, %error, "EC2's metadata service does not answer; asking again");
                }
                AGAIN
            }
        };
        sleep(wait).await;
    }
}

async fn ask(endpoint: SocketAddr) -> io::Result<[String; PATHS.len()]> {
    let token = request(
        endpoint,
        "PUT",
        "api/token",
        "X-aws-ec2-metadata-token-ttl-seconds: 60",
    )
    .await?;
    let header = format!("X-aws-ec2-metadata-token: {token}");
    let mut values = [const { String::new() }; PATHS.len()];
    for (value, path) in values.iter_mut().zip(PATHS) {
        *value = request(endpoint, "GET", &format!("meta-data/{path}"), &header).await?;
    }
    Ok(values)
}

/// One question over one connection.
async fn request(
    endpoint: SocketAddr,
    method: &str,
    path: &str,
    header: &str,
) -> io::Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(endpoint).await?;
        let head = format!(
            "{method} /latest/{path} HTTP/1.1\r\nHost: {endpoint}\r\n{header}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        let mut stream = stream.take(MAX_ANSWER);
        while !is_whole(&answer) && stream.read_buf(&mut answer).await? > 0 {}
        parse(&answer).ok_or_else(|| {
            let first = String::from_utf8_lossy(&answer);
            io::Error::other(format!(
                "{path}: {}",
                first.lines().next().unwrap_or("no answer")
            ))
        })
    };
    timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
}

/// Whether as much of the answer is there as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    length.is_some_and(|it| body.len() >= it)
}

/// The body of a good answer: one line of visible characters.
pub(super) fn parse(answer: &[u8]) -> Option<String> {
    let text = str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    if head.split(' ').nth(1)? != "200" {
        return None;
    }
    let body = body.trim();
    let good =
        !body.is_empty() && body.len() <= 512 && body.bytes().all(|it| it.is_ascii_graphic());
    good.then(|| body.to_owned())
}

#[cfg(test)]
mod tests {
    use testkit::{Answer, Upstream};

    use super::{ask, parse};

    #[test]
    fn answers() {
        for (answer, expect) in [
            ("HTTP/1.0 200 OK\r\nA: b\r\n\r\ni-0123\n", Some("i-0123")),
            ("HTTP/1.1 401 Unauthorized\r\n\r\nx", None),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("HTTP/1.1 200 OK\r\n\r\na b", None),
            ("x", None),
        ] {
            assert_eq!(parse(answer.as_bytes()).as_deref(), expect, "{answer}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_service_is_asked_with_a_token() {
        let service = Upstream::start(
            ["token", "i-0123", "m5.large", "eu-west-1a"]
                .map(Answer::ok)
                .to_vec(),
        );
        let endpoint = service
            .url("")
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .unwrap();
        assert_eq!(
            ask(endpoint).await.unwrap(),
            ["i-0123", "m5.large", "eu-west-1a"]
        );
        let heard = service.heard();
        assert_eq!(heard.len(), 4);
        let failing = Upstream::start(vec![Answer::status(403)]);
        let endpoint = failing
            .url("")
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .unwrap();
        assert!(ask(endpoint).await.unwrap_err().to_string().contains("403"));
    }
}
