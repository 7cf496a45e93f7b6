//! Whether Grafana lets its user admin in and shows the dashboards that it was given.

use anyhow::Context as _;
use client::Method;
use serde::Deserialize;

use super::{Step, files};
use crate::{network::Node, remote::Remote, see::Site, tunnel::Tunnel};

/// Grafana's own bound is higher.
const SEARCH: &str = "/api/search?type=dash-db&limit=5000";

/// As much of a dashboard as its file and Grafana's answer have in common.
#[derive(Debug, Deserialize)]
struct Dashboard {
    uid: String,
    title: String,
}

pub(super) async fn step(site: &Site, node: &Node, remote: &Remote) -> anyhow::Result<Step> {
    let mut expected = Vec::new();
    for file in files(site, node, "grafana/dashboards") {
        let dashboard: Dashboard =
            serde_json::from_slice(&file.content).with_context(|| file.path.clone())?;
        expected.push(dashboard);
    }
    let unit = site.unit(&node.name, "grafana");
    let asked = unit.and_then(|it| it.health.asked());
    let (url, _) = asked.context("there is no Grafana")?;
    let materials = site.materials()?;
    let login = ("admin".to_owned(), materials.secrets.grafana.clone());
    let tunnel = Tunnel::open(remote, node, url, Some(login), &materials.pki).await?;
    let problems = problems(&expected, &tunnel).await?;
    let what = format!("{} are there", expected.len());
    Ok(Step::of("dashboards", node, what, problems))
}

async fn problems(expected: &[Dashboard], grafana: &Tunnel) -> anyhow::Result<Vec<String>> {
    let found = grafana.ask(Method::GET, Some(SEARCH), None).await;
    let found =
        found.context("Grafana does not say what it has; was admin's password changed there?")?;
    let found: Vec<Dashboard> =
        serde_json::from_value(found).context("this is not how Grafana answers")?;
    let missing = expected.iter();
    let missing = missing.filter(|it| !found.iter().any(|found| found.uid == it.uid));
    Ok(missing
        .map(|it| format!("{} is not there", it.title))
        .collect())
}

#[cfg(test)]
mod tests {
    use testkit::{Answer, Upstream};

    use super::{Dashboard, problems};
    use crate::tunnel::Tunnel;

    #[tokio::test]
    async fn as_grafana_documents_its_answer() {
        let expected = [Dashboard {
            uid: "scalardl-node".to_owned(),
            title: "Node".to_owned(),
        }];
        let one = r#"[{"id":1,"uid":"scalardl-node","title":"Node","uri":"db/node","url":"/d/scalardl-node/node","type":"dash-db","tags":[],"isStarred":false,"folderId":2,"folderUid":"x","folderTitle":"Scalar DL"}]"#;
        for (answer, expect) in [
            (Answer::ok(one), Ok(vec![])),
            (Answer::ok("[]"), Ok(vec!["Node is not there"])),
            (Answer::ok("{}"), Err("this is not how Grafana answers")),
            (
                Answer::Reply(
                    401,
                    vec![],
                    r#"{"message":"Invalid username or password"}"#.to_owned(),
                ),
                Err("Grafana does not say what it has; was admin's password changed there?"),
            ),
        ] {
            let upstream = Upstream::start(vec![answer]);
            let grafana = Tunnel::direct(&upstream.url("/")).unwrap();
            let found = problems(&expected, &grafana).await;
            let found = found.map_err(|it| it.to_string());
            let expect = expect.map(|it| it.iter().map(ToString::to_string).collect());
            assert_eq!(found, expect.map_err(str::to_owned));
            let asked = &upstream.heard()[0].line;
            assert_eq!(asked, "GET /api/search?type=dash-db&limit=5000 HTTP/1.1");
        }
    }
}
