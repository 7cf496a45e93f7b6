//! Grafana's dashboards as values: as much of the model (schema 41, Grafana 11 and 12) as the house uses.

use serde_json::{Value, json};

use crate::File;

/// Columns of Grafana's grid.
const WIDTH: u32 = 24;
/// Of all our dashboards: links between them go by it.
const TAG: &str = "scalar-dl";

/// A dashboard.
#[derive(Debug, Clone)]
pub struct Dashboard {
    /// After `scalardl-`; the file has its name.
    pub uid: &'static str,
    /// For people.
    pub title: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// A metric that every instance has, for the variables.
    pub base_metric: &'static str,
    /// What else can be chosen, in an order in which each narrows those after it.
    pub variables: &'static [Variable],
    /// Rows in their order; the first two are open.
    pub rows: Vec<Row>,
}

/// A variable besides cluster, job and instance.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// After the dollar.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// The metric that has the values,
    pub metric: &'static str,
    /// and its label.
    pub label: &'static str,
}

/// Data centres of Cassandra. Which instances there are to choose from depends on it.
pub const DC: Variable = Variable {
    name: "dc",
    title: "Data centre",
    metric: "cassandra_node_info",
    label: "datacenter",
};

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
    /// A bar for each series, the longest first where the expression sorts them.
    Bars,
    /// States over time, a line for each series.
    Timeline,
    /// One row for each series, a column for each target.
    Table,
    /// A text, from a label.
    Text,
}

/// Why a target may have no data, though nothing is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// It shows what happens at times alone.
    Rare(&'static str),
    /// Not every network has the metric; one that has it has data here.
    Without {
        /// The metric.
        metric: &'static str,
        /// Who has it.
        why: &'static str,
    },
}

/// What a panel asks.
#[derive(Debug, Clone)]
pub struct Target {
    /// PromQL.
    pub expr: String,
    /// The legend; a table's column.
    pub legend: &'static str,
    /// The unit of a table's column, when it is not the panel's.
    pub unit: Option<&'static str>,
    /// Why there may be no data.
    pub empty: Option<Empty>,
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
    /// What it asks.
    pub targets: Vec<Target>,
    /// From which value on it is orange, and red.
    pub thresholds: Option<(f64, f64)>,
    /// Below which value it is red, where little is bad.
    pub floor: Option<f64>,
    /// The highest value, where there is one.
    pub max: Option<f64>,
    /// The lowest; 0 for nearly all.
    pub min: Option<f64>,
    /// Words and colours for values.
    pub words: &'static [(&'static str, &'static str, &'static str)],
    /// Where a click leads: a dashboard's uid without `scalardl-`.
    pub leads_to: Option<&'static str>,
    /// Nothing that it can show is bad.
    pub is_neutral: bool,
}

/// Up and down.
pub const UP: &[(&str, &str, &str)] = &[("0", "down", "red"), ("1", "up", "green")];
/// What should be.
pub const YES: &[(&str, &str, &str)] = &[("0", "no", "red"), ("1", "yes", "green")];

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
            words: &[],
            leads_to: None,
            is_neutral: false,
        }
    }

    /// A number for the glance.
    #[must_use]
    pub fn stat(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            draw: Draw::Stat,
            size: (4, 4),
            ..Self::lines(title, unit, description)
        }
    }

    /// A table over the whole width.
    #[must_use]
    pub fn table(title: &'static str, description: &'static str) -> Self {
        Self {
            draw: Draw::Table,
            size: (24, 8),
            ..Self::lines(title, "short", description)
        }
    }

    /// States over time; `words` are the states.
    #[must_use]
    pub fn timeline(
        title: &'static str,
        words: &'static [(&'static str, &'static str, &'static str)],
        description: &'static str,
    ) -> Self {
        Self {
            draw: Draw::Timeline,
            size: (12, 8),
            words,
            ..Self::lines(title, "none", description)
        }
    }

    /// The highest of all instances, as bars.
    #[must_use]
    pub fn bars(title: &'static str, unit: &'static str, description: &'static str) -> Self {
        Self {
            draw: Draw::Bars,
            ..Self::lines(title, unit, description)
        }
    }

    /// Adds an expression; `SELECT` in it stands for the labels that the variables choose.
    #[must_use]
    pub fn query(mut self, expr: &str, legend: &'static str) -> Self {
        let chosen = "cluster=~\"$cluster\",job=~\"$job\",instance=~\"$instance\"";
        self.targets.push(Target {
            expr: expr.replace("SELECT", chosen),
            legend,
            unit: None,
            empty: None,
        });
        self
    }

    /// Adds a column to a table.
    #[must_use]
    pub fn column(mut self, name: &'static str, unit: &'static str, expr: &str) -> Self {
        self = self.query(expr, name);
        if let Some(target) = self.targets.last_mut() {
            target.unit = Some(unit);
        }
        self
    }

    /// The targets so far that say nothing else may be empty: what they show is rare.
    #[must_use]
    pub fn rare(self, why: &'static str) -> Self {
        self.may_be_empty(Empty::Rare(why))
    }

    /// The targets so far that say nothing else are empty in networks without a metric.
    #[must_use]
    pub fn without(self, metric: &'static str, why: &'static str) -> Self {
        self.may_be_empty(Empty::Without { metric, why })
    }

    fn may_be_empty(mut self, empty: Empty) -> Self {
        for target in &mut self.targets {
            target.empty.get_or_insert(empty);
        }
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

    /// Turns red, at once.
    #[must_use]
    pub const fn red_from(self, red: f64) -> Self {
        self.thresholds(f64::MAX, red)
    }

    /// Turns orange, and no more.
    #[must_use]
    pub const fn orange_from(self, orange: f64) -> Self {
        self.thresholds(orange, f64::MAX)
    }

    /// Is red below a value, green from it on.
    #[must_use]
    pub const fn floor(mut self, green: f64) -> Self {
        self.floor = Some(green);
        self
    }

    /// Has no bad values.
    #[must_use]
    pub const fn neutral(mut self) -> Self {
        self.is_neutral = true;
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

    /// Says words for values.
    #[must_use]
    pub const fn words(
        mut self,
        words: &'static [(&'static str, &'static str, &'static str)],
    ) -> Self {
        self.words = words;
        self
    }

    /// Leads to another dashboard.
    #[must_use]
    pub const fn leads_to(mut self, uid: &'static str) -> Self {
        self.leads_to = Some(uid);
        self
    }
}

/// A dashboard as a file.
#[must_use]
pub fn file(dashboard: &Dashboard) -> File {
    // Our own values always serialize.
    let text = serde_json::to_string_pretty(&dashboard.json()).unwrap_or_default();
    File {
        name: format!("{}.json", dashboard.uid),
        text: text + "\n",
    }
}

fn datasource() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

impl Dashboard {
    fn json(&self) -> Value {
        // An alert of a whole cluster has no instance.
        let chosen = "cluster=~\"$cluster\",instance=~\"$instance\"";
        let firing = "ALERTS{alertstate=\"firing\",severity!=\"none\",cluster=~\"$cluster\",instance=~\"$instance|\"}";
        let restarts = [
            "process_start_time_seconds",
            "cassandra_jvm_start_time_seconds",
            "traefik_api_start_time_seconds",
            "node_boot_time_seconds",
        ]
        .map(|it| format!("changes({it}{{{chosen}}}[2m]) > 0"))
        .join(" or ");
        json!({
            "annotations": {"list": [
                annotation("Firing alerts", firing, "{{alertname}} {{instance}}", "red"),
                annotation("Restarts", &restarts, "{{job}} {{instance}}", "blue"),
            ]},
            "description": self.description,
            "editable": true,
            "fiscalYearStartMonth": 0,
            "graphTooltip": 1,
            "id": null,
            "links": [{
                "asDropdown": true, "icon": "external link", "includeVars": true, "keepTime": true, "tags": [TAG],
                "targetBlank": false, "title": "Scalar DL", "tooltip": "", "type": "dashboards", "url": "",
            }],
            "panels": self.panels(),
            "refresh": "30s",
            "schemaVersion": 41,
            "tags": [TAG],
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
        let mut list = vec![json!({
            "current": {}, "hide": 0, "includeAll": false, "label": "Data source", "multi": false, "name": "datasource",
            "options": [], "query": "prometheus", "refresh": 1, "regex": "", "skipUrlSync": false, "type": "datasource",
        })];
        let mut narrowed = Vec::new();
        let base = |name, title, label| Variable {
            name,
            title,
            metric: self.base_metric,
            label,
        };
        let is_dc = |it: &&Variable| it.name == DC.name;
        // Only what is before `dc` is left to its instances.
        let has_dc = self.variables.iter().any(|it| is_dc(&it));
        let all: Vec<Variable> = [
            base("cluster", "Cluster", "cluster"),
            base("job", "Job", "job"),
        ]
        .into_iter()
        .chain(self.variables.iter().filter(is_dc).copied())
        .chain([base("instance", "Instance", "instance")])
        .chain(self.variables.iter().filter(|it| !is_dc(it)).copied())
        .collect();
        for variable in all {
            let Variable {
                name,
                title,
                metric,
                label,
            } = variable;
            let metric = if has_dc && name == "instance" {
                DC.metric
            } else {
                metric
            };
            let matchers = narrowed.join(",");
            let query = if matchers.is_empty() {
                format!("label_values({metric}, {label})")
            } else {
                format!("label_values({metric}{{{matchers}}}, {label})")
            };
            let mut it = json!({
                "allValue": ".*", "current": {"selected": true, "text": ["All"], "value": ["$__all"]}, "datasource": datasource(),
                "hide": 0, "includeAll": true, "label": title, "multi": true, "name": name, "options": [],
                "query": {"query": query, "refId": "variable"}, "refresh": 2, "regex": "", "skipUrlSync": false, "sort": 1, "type": "query",
            });
            // Where a data centre is chosen, all instances are those of it, not whatever there is.
            if has_dc
                && name == "instance"
                && let Some(map) = it.as_object_mut()
            {
                map.remove("allValue");
            }
            list.push(it);
            // Nothing but Cassandra's own metric has it.
            let matcher = format!("{label}=~\"${name}\"");
            if name != DC.name || metric == DC.metric {
                narrowed.push(matcher);
            }
            if has_dc && name == "instance" {
                narrowed.retain(|it| !it.starts_with(DC.label));
            }
        }
        list
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

/// A link to another of our dashboards, which keeps time, data source and cluster.
fn link(title: &str, uid: &str, variables: &[(&str, &str)]) -> Value {
    let mut url = format!("/d/{uid}?");
    for (name, value) in variables {
        url.push_str(&format!("var-{name}={value}&"));
    }
    url.push_str("${datasource:queryparam}&${__url_time_range}");
    json!({"targetBlank": false, "title": title, "url": url})
}

fn mappings(words: &[(&str, &str, &str)]) -> Value {
    let options: serde_json::Map<_, _> = words
        .iter()
        .zip(0..)
        .map(|((value, text, color), index)| {
            let shown = json!({"color": color, "index": index, "text": text});
            ((*value).to_owned(), shown)
        })
        .collect();
    json!([{"options": options, "type": "value"}])
}

impl Panel {
    fn json(&self, id: u32, (x, y): (u32, u32)) -> Value {
        let (width, height) = self.size;
        let instant = !matches!(self.draw, Draw::Lines | Draw::Stack | Draw::Timeline);
        let format = if self.draw == Draw::Table {
            "table"
        } else {
            "time_series"
        };
        let targets: Vec<Value> = ('A'..='Z')
            .zip(&self.targets)
            .map(|(letter, target)| {
                let legend = if self.draw == Draw::Table { "" } else { target.legend };
                json!({
                    "datasource": datasource(), "editorMode": "code", "expr": target.expr, "format": format, "instant": instant,
                    "legendFormat": legend, "range": !instant, "refId": letter.to_string(),
                })
            })
            .collect();
        json!({
            "datasource": datasource(),
            "description": self.description,
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
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
                Draw::Bars => "bargauge",
                Draw::Timeline => "state-timeline",
                Draw::Table => "table",
            },
        })
    }

    /// From a number to the lines behind it.
    fn links(&self) -> Value {
        let legend = self.targets.first().map_or("", |it| it.legend);
        let mut variables = vec![("cluster", "${__field.labels.cluster}")];
        if legend.contains("{{instance}}") {
            variables.push(("instance", "${__field.labels.instance}"));
        }
        let link = match self.leads_to {
            Some(uid) => link("Look closer", &format!("scalardl-{uid}"), &variables),
            None => link("Show only this", "${__dashboard.uid}", &variables),
        };
        json!([link])
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
            _ => "thresholds",
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
            if !self.words.is_empty() && self.draw != Draw::Table {
                map.insert("mappings".to_owned(), mappings(self.words));
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
                        "drawStyle": "line", "fillOpacity": fill, "lineWidth": 1, "showPoints": "auto", "spanNulls": false,
                        "stacking": {"group": "A", "mode": stack},
                        // Without a style Grafana keeps thresholds of lines to itself.
                        "thresholdsStyle": {"mode": if self.thresholds.is_some() { "dashed" } else { "off" }},
                    }));
                }
                Draw::Stat | Draw::Gauge | Draw::Bars | Draw::Text => {
                    map.insert("links".to_owned(), self.links());
                }
                Draw::Timeline => {
                    map.insert(
                        "custom".to_owned(),
                        json!({"fillOpacity": 80, "lineWidth": 0}),
                    );
                }
                Draw::Table => {
                    map.insert("custom".to_owned(), json!({
                        "align": "auto", "cellOptions": {"type": "auto"}, "filterable": true, "inspect": false,
                    }));
                }
            }
        }
        defaults
    }

    /// A table's columns: units, words, and links of instances.
    fn overrides(&self) -> Value {
        if self.draw != Draw::Table {
            return json!([]);
        }
        let by_name = |name: &str, properties: Vec<Value>| json!({"matcher": {"id": "byName", "options": name}, "properties": properties});
        let mut list = Vec::new();
        for target in &self.targets {
            let Some(unit) = target.unit.filter(|_| !target.legend.is_empty()) else {
                continue;
            };
            let mut properties = vec![json!({"id": "unit", "value": unit})];
            if unit == "bool_yes_no" {
                // One colour for what should be, one for what should not.
                properties = vec![
                    json!({"id": "mappings", "value": mappings(if self.words.is_empty() { YES } else { self.words })}),
                    json!({"id": "custom.cellOptions", "value": {"type": "color-text"}}),
                ];
            }
            list.push(by_name(target.legend, properties));
        }
        let uid = self.leads_to.unwrap_or("node");
        let variables = [
            ("cluster", "${__data.fields.cluster}"),
            ("instance", "${__data.fields.instance}"),
        ];
        let link = link("Look closer", &format!("scalardl-{uid}"), &variables);
        list.push(by_name(
            "instance",
            vec![json!({"id": "links", "value": [link]})],
        ));
        json!(list)
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
                "reduceOptions": reduce, "textMode": self.text_mode(), "wideLayout": true,
            }),
            Draw::Text => json!({
                "colorMode": "none", "graphMode": "none", "justifyMode": "auto", "orientation": "auto",
                "reduceOptions": reduce, "textMode": "name", "wideLayout": true,
            }),
            Draw::Gauge => json!({
                "minVizHeight": 75, "minVizWidth": 75, "orientation": "auto", "reduceOptions": reduce,
                "showThresholdLabels": false, "showThresholdMarkers": true, "sizing": "auto",
            }),
            Draw::Bars => json!({
                "displayMode": "basic", "maxVizHeight": 24, "minVizHeight": 16, "minVizWidth": 8, "namePlacement": "auto",
                "orientation": "horizontal", "reduceOptions": reduce, "showUnfilled": true, "sizing": "manual",
                "valueMode": "color",
            }),
            Draw::Timeline => json!({
                "alignValue": "left", "mergeValues": true, "rowHeight": 0.85, "showValue": "never",
                "legend": {"displayMode": "list", "placement": "bottom", "showLegend": true},
                "tooltip": {"mode": "single", "sort": "none"},
            }),
            Draw::Table => {
                json!({"cellHeight": "sm", "footer": {"show": false}, "showHeader": true})
            }
        }
    }

    /// A number of one host or table says of which; a number of all of a cluster needs no name.
    fn text_mode(&self) -> &'static str {
        let is_named = |target: &Target| {
            let legend = target.legend.replace("{{cluster}}", "");
            legend.contains("{{")
        };
        if self.targets.iter().any(is_named) {
            "value_and_name"
        } else {
            "auto"
        }
    }

    fn transformations(&self) -> Value {
        if self.draw != Draw::Table {
            return json!([]);
        }
        let mut hidden = json!({"Time": true, "__name__": true, "job": true});
        let tells_programs = self.targets.iter().any(|it| it.expr.contains("program"));
        if let Some(map) = hidden.as_object_mut().filter(|_| !tells_programs) {
            map.insert("program".to_owned(), json!(true));
        }
        let mut named = serde_json::Map::new();
        let is_alone = self.targets.len() == 1;
        for (letter, target) in ('A'..='Z').zip(&self.targets) {
            // Grafana numbers the values of several queries, not that of one.
            let value = if is_alone {
                "Value".to_owned()
            } else {
                format!("Value #{letter}")
            };
            if target.legend.is_empty() {
                if let Some(map) = hidden.as_object_mut() {
                    map.insert(value, json!(true));
                }
            } else {
                named.insert(value, json!(target.legend));
            }
        }
        json!([
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": named}},
        ])
    }
}
