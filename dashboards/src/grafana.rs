//! Grafana's dashboards as values: as much of the model (schema 41, Grafana 11 and 12) as the house uses.

use serde_json::{Value, json};

use crate::File;

/// Columns of Grafana's grid.
const WIDTH: u32 = 24;

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// After `scalardl-`.
    pub uid: &'static str,
    /// For people.
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Rows in their order; the first two are open.
    pub rows: Vec<Row>,
    /// A metric that every instance has, for the variables.
    pub base_metric: &'static str,
}

/// A row of panels.
#[derive(Debug, Clone)]
pub struct Row {
    /// For people.
    pub title: &'static str,
    /// From left to right, line by line.
    pub panels: Vec<Panel>,
}

/// How a panel draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draw {
    /// Lines over time.
    Lines,
    /// Areas over time, one on the other.
    Stack,
    /// One number, green at first, then as the thresholds say.
    Stat,
    /// A part of a whole.
    Gauge,
    /// One row for each series.
    Table,
    /// A text, from a label.
    Text,
}

/// A panel.
#[derive(Debug, Clone)]
pub struct Panel {
    /// For people.
    pub title: &'static str,
    /// What it shows, and when to worry.
    pub description: &'static str,
    /// How.
    pub draw: Draw,
    /// Grafana's name of the unit.
    pub unit: &'static str,
    /// Columns of 24, and lines.
    pub size: (u32, u32),
    /// Expressions and legends.
    pub targets: Vec<(String, &'static str)>,
    /// From which value on it is orange, and red.
    pub thresholds: Option<(f64, f64)>,
    /// Below which value it is red, where little is bad.
    pub floor: Option<f64>,
    /// The highest value, where there is one.
    pub max: Option<f64>,
    /// The lowest; 0 for nearly all.
    pub min: Option<f64>,
}

impl Panel {
    /// Lines, a third wide, from 0.
    #[must_use]
    pub fn lines(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            title,
            description,
            draw: Draw::Lines,
            unit,
            size: (8, 8),
            targets: Vec::new(),
            thresholds: None,
            floor: None,
            max: None,
            min: Some(0.0),
        }
    }

    /// A number for the glance.
    #[must_use]
    pub fn stat(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            draw: Draw::Stat,
            size: (4, 4),
            thresholds: Some((f64::MAX, f64::MAX)),
            ..Self::lines(title, unit, description)
        }
    }

    /// Adds an expression; `SELECT` in it stands for the labels that the variables choose.
    #[must_use]
    pub fn query(mut self, expr: &str, legend: &'static str) -> Self {
        let chosen = "cluster=~\"$cluster\",job=~\"$job\",instance=~\"$instance\"";
        self.targets.push((expr.replace("SELECT", chosen), legend));
        self
    }

    /// Draws otherwise.
    #[must_use]
    pub const fn draw(mut self, draw: Draw) -> Self {
        self.draw = draw;
        self
    }

    /// Has another size.
    #[must_use]
    pub const fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (width, height);
        self
    }

    /// Turns orange and red.
    #[must_use]
    pub const fn thresholds(mut self, orange: f64, red: f64) -> Self {
        self.thresholds = Some((orange, red));
        self
    }

    /// Is red below a value, green from it on.
    #[must_use]
    pub const fn floor(mut self, green: f64) -> Self {
        self.floor = Some(green);
        self
    }

    /// Has a highest value.
    #[must_use]
    pub const fn max(mut self, max: f64) -> Self {
        self.max = Some(max);
        self
    }

    /// May go below zero.
    #[must_use]
    pub const fn signed(mut self) -> Self {
        self.min = None;
        self
    }
}

/// A dashboard as a file.
#[must_use]
pub fn file(name: &str, dashboard: &Dashboard) -> File {
    // Our own values always serialize.
    let text = serde_json::to_string_pretty(&dashboard.json()).unwrap_or_default();
    File {
        name: format!("{name}.json"),
        text: text + "\n",
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Dashboard {
    fn json(&self) -> Value {
        let tag = "scalar-dl";
        json!({
            "annotations": {"list": [
                annotation("Firing alerts", "ALERTS{alertstate=\"firing\",cluster=~\"$cluster\",instance=~\"$instance\"}", "{{alertname}} {{instance}}", "red"),
                annotation("Restarts of agents", "changes(process_start_time_seconds{cluster=~\"$cluster\",instance=~\"$instance\"}[1m]) > 0", "{{job}} {{instance}}", "blue"),
            ]},
            "description": self.description,
            "editable": true,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": null,
            "links": [{
                "asDropdown": true, "icon": "external link", "includeVars": true, "keepTime": true, "tags": [tag],
                "targetBlank": false, "title": "Scalar DL", "tooltip": "", "type": "dashboards", "url": "",
            }],
            "panels": self.panels(),
            "refresh": "30s",
            "schemaVersion": 41,
            "tags": [tag],
            "templating": {"list": self.variables()},
            "time": {"from": "now-1h", "to": "now"},
            "timepicker": {},
            "timezone": "",
            "title": self.title,
            "uid": format!("scalardl-{}", self.uid),
            "version": 1,
        })
    }

    fn variables(&self) -> Vec<Value> {
        let metric = self.base_metric;
        let query = |name: &str, label: &str, query: String| {
            json!({
                "allValue": ".*", "current": {"selected": true, "text": ["All"], "value": ["$__all"]}, "datasource": datasource(),
                "definition": query, "hide": 0, "includeAll": true, "label": label, "multi": true, "name": name, "options": [],
                "query": {"query": query, "refId": "variable"}, "refresh": 2, "regex": "", "skipUrlSync": false, "sort": 1, "type": "query",
            })
        };
        vec![
            json!({
                "current": {}, "hide": 0, "includeAll": false, "label": "Data source", "multi": false, "name": "datasource",
                "options": [], "query": "prometheus", "refresh": 1, "regex": "", "skipUrlSync": false, "type": "datasource",
            }),
            query(
                "cluster",
                "Cluster",
                format!("label_values({metric}, cluster)"),
            ),
            query(
                "job",
                "Job",
                format!("label_values({metric}{{cluster=~\"$cluster\"}}, job)"),
            ),
            query(
                "instance",
                "Instance",
                format!("label_values({metric}{{cluster=~\"$cluster\",job=~\"$job\"}}, instance)"),
            ),
        ]
    }

    fn panels(&self) -> Vec<Value> {
        let (mut out, mut id, mut y) = (Vec::new(), 0, 0);
        for (index, row) in self.rows.iter().enumerate() {
            let collapsed = index >= 2;
            id += 1;
            let (row_id, row_y) = (id, y);
            y += 1;
            let (mut x, mut line) = (0, 0);
            let mut inner = Vec::new();
            for panel in &row.panels {
                let (width, height) = panel.size;
                if x + width > WIDTH {
                    x = 0;
                    y += line;
                    line = 0;
                }
                id += 1;
                inner.push(panel.json(id, (x, y)));
                x += width;
                line = line.max(height);
            }
            y += line;
            let inside = if collapsed {
                std::mem::take(&mut inner)
            } else {
                Vec::new()
            };
            out.push(json!({
                "collapsed": collapsed, "gridPos": {"h": 1, "w": WIDTH, "x": 0, "y": row_y}, "id": row_id,
                "panels": inside, "title": row.title, "type": "row",
            }));
            out.append(&mut inner);
            if collapsed {
                // A collapsed row takes one line.
                y = row_y + 1;
            }
        }
        out
    }
}

fn annotation(name: &str, expr: &str, title: &str, color: &str) -> Value {
    json!({
        "datasource": datasource(), "enable": true, "expr": expr, "hide": false, "iconColor": color, "name": name,
        "step": "30s", "tagKeys": "severity", "textFormat": title, "titleFormat": title,
    })
}

impl Panel {
    fn json(&self, id: u32, (x, y): (u32, u32)) -> Value {
        let (width, height) = self.size;
        let instant = !matches!(self.draw, Draw::Lines | Draw::Stack);
        let format = if self.draw == Draw::Table {
            "table"
        } else {
            "time_series"
        };
        let targets: Vec<Value> = ('A'..='Z')
            .zip(&self.targets)
            .map(|(letter, (expr, legend))| {
                json!({
                    "datasource": datasource(), "editorMode": "code", "expr": expr, "format": format, "instant": instant,
                    "legendFormat": legend, "range": !instant, "refId": letter.to_string(),
                })
            })
            .collect();
        json!({
            "datasource": datasource(),
            "description": self.description,
            "fieldConfig": {"defaults": self.defaults(), "overrides": []},
            "gridPos": {"h": height, "w": width, "x": x, "y": y},
            "id": id,
            "options": self.options(),
            "targets": targets,
            "title": self.title,
            "transformations": self.transformations(),
            "type": match self.draw {
                Draw::Lines | Draw::Stack => "timeseries",
                Draw::Stat | Draw::Text => "stat",
                Draw::Gauge => "gauge",
                Draw::Table => "table",
            },
        })
    }

    fn defaults(&self) -> Value {
        let mut steps = match self.floor {
            Some(green) => vec![
                json!({"color": "red", "value": null}),
                json!({"color": "green", "value": green}),
            ],
            None => vec![json!({"color": "green", "value": null})],
        };
        if let Some((orange, red)) = self.thresholds {
            let wanted = [("orange", orange), ("red", red)]
                .into_iter()
                .filter(|it| it.1 < f64::MAX);
            steps.extend(wanted.map(|(color, value)| json!({"color": color, "value": value})));
        }
        let color = match self.draw {
            Draw::Lines | Draw::Stack => "palette-classic",
            Draw::Stat | Draw::Text | Draw::Gauge | Draw::Table => "thresholds",
        };
        let mut defaults = json!({
            "color": {"mode": color},
            "thresholds": {"mode": "absolute", "steps": steps},
            "unit": self.unit,
        });
        if let Some(map) = defaults.as_object_mut() {
            for (key, value) in [("min", self.min), ("max", self.max)] {
                if let Some(value) = value {
                    map.insert(key.to_owned(), json!(value));
                }
            }
            match self.draw {
                Draw::Lines | Draw::Stack => {
                    let stack = if self.draw == Draw::Stack {
                        "normal"
                    } else {
                        "none"
                    };
                    let fill = if self.draw == Draw::Stack { 40 } else { 10 };
                    map.insert("custom".to_owned(), json!({
                        "drawStyle": "line", "fillOpacity": fill, "lineWidth": 1, "showPoints": "never", "spanNulls": false,
                        "stacking": {"group": "A", "mode": stack},
                        // Without a style Grafana keeps thresholds of lines to itself.
                        "thresholdsStyle": {"mode": if self.thresholds.is_some() { "dashed" } else { "off" }},
                    }));
                }
                Draw::Stat | Draw::Gauge | Draw::Text => {
                    // From a number to the lines behind it.
                    map.insert("links".to_owned(), json!([{
                        "targetBlank": false,
                        "title": "Show only this instance",
                        "url": "/d/${__dashboard.uid}?var-cluster=${__field.labels.cluster}&var-instance=${__field.labels.instance}&${job:queryparam}&${datasource:queryparam}&${__url_time_range}",
                    }]));
                }
                Draw::Table => {}
            }
        }
        defaults
    }

    fn options(&self) -> Value {
        let reduce = json!({"calcs": ["lastNotNull"], "fields": "", "values": false});
        match self.draw {
            Draw::Lines | Draw::Stack => json!({
                "legend": {"calcs": ["mean", "max"], "displayMode": "table", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }),
            Draw::Stat => json!({
                "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                "reduceOptions": reduce, "textMode": "auto", "wideLayout": true,
            }),
            Draw::Text => json!({
                "colorMode": "none", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                "reduceOptions": reduce, "textMode": "name", "wideLayout": true,
            }),
            Draw::Gauge => json!({
                "minVizHeight": 75, "minVizWidth": 75, "orientation": "auto", "reduceOptions": reduce,
                "showThresholdLabels": false, "showThresholdMarkers": true, "sizing": "auto",
            }),
            Draw::Table => {
                json!({"cellHeight": "sm", "footer": {"show": false}, "showHeader": true})
            }
        }
    }

    fn transformations(&self) -> Value {
        if self.draw != Draw::Table {
            return json!([]);
        }
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true, "job": true, "program": true}, "indexByName": {}, "renameByName": {}}},
        ])
    }
}
