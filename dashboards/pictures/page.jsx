// One dashboard, from its JSON and Prometheus' answers. Panels are Grafana's components; their frame, the grid, dials and lines of states are
// drawn here, as those are no part of @grafana/ui, or need more than it.

import { useEffect } from 'react';
import { createRoot } from 'react-dom/client';

// Not imported: as modules they take the defaults of some of their own dependencies for what those export.
const { ThemeContext, createTheme, dateTime, getDisplayProcessor, toDataFrame, FieldType } = require('@grafana/data');
const { BarGauge, BigValue, GlobalStyles, Table, TimeSeries } = require('@grafana/ui');

const { shown } = window;
const theme = createTheme({ colors: { mode: 'light' } });
const GAP = 8;
const LINE = 30;
const HEAD = 30;
const WIDTH = 1400 - 2 * GAP;
const column = (WIDTH + GAP) / 24;
const range = { from: dateTime(shown.start * 1000), to: dateTime(shown.end * 1000), raw: { from: 'now-1h', to: 'now' } };

const named = (legend, labels) => {
  const text = legend.replaceAll(/{{\s*([^}\s]+)\s*}}/g, (_, label) => labels[label] ?? '').trim();
  return text || JSON.stringify(labels);
};

/** A field of numbers as Grafana shows it. */
function field(name, values, config, index = 0) {
  const made = { name, type: FieldType.number, values, config: { ...config, displayName: name }, state: { seriesIndex: index, displayName: name } };
  made.display = getDisplayProcessor({ field: made, theme, timeZone: 'utc' });
  return made;
}

/** The series of all answers, with times that are missing as null. */
function series({ panel, answers }) {
  const config = panel.fieldConfig.defaults;
  let index = 0;
  return answers.flatMap(({ legend, series }) =>
    series.map(({ metric, values, value }) => {
      const pairs = values ?? [value];
      return { name: named(legend, metric), times: pairs.map((it) => it[0] * 1000), field: field(named(legend, metric), pairs.map((it) => Number(it[1])), config, index++) };
    }),
  );
}

function Lines({ it, width, height }) {
  const frames = series(it).map(({ times, field }) => ({
    length: times.length,
    fields: [{ name: 'Time', type: FieldType.time, values: times, config: {} }, field],
  }));
  const legend = { ...it.panel.options.legend, calcs: [], displayMode: 'list' };
  // A legend of fifty lines leaves no room for any of them.
  if (frames.length > 12) {
    legend.showLegend = false;
  }
  return <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" legend={legend} options={{}} />;
}

/** Side by side, or one above the other, as there is room. */
function Several({ it, width, height, draw }) {
  const all = series(it).slice(0, 12);
  const isWide = width > 1.6 * height;
  const one = isWide ? [Math.floor(width / all.length), height] : [width, Math.floor(height / all.length)];
  return (
    <div style={{ display: 'flex', flexDirection: isWide ? 'row' : 'column' }}>
      {all.map((each, index) => (
        <div key={index}>{draw(each, one[0] - 2, one[1] - 2, all.length)}</div>
      ))}
    </div>
  );
}

function value(each, count, panel) {
  const last = each.field.values.at(-1);
  const shown = each.field.display(last);
  const title = panel.options.textMode !== 'auto' || count > 1 ? each.name : undefined;
  return { ...shown, title };
}

function Stat({ it, width, height }) {
  const draw = (each, w, h, count) => {
    const shown = value(each, count, it.panel);
    return (
      <BigValue theme={theme} width={w} height={h} colorMode={it.panel.options.colorMode} graphMode="none" justifyMode="auto" textMode={it.panel.options.textMode} value={shown} count={count} />
    );
  };
  return <Several it={it} width={width} height={height} draw={draw} />;
}

/** Grafana's own dial needs a library that comes with Grafana's server alone: an arc, with the colours of the thresholds outside. */
function Dial({ it, width, height }) {
  const arc = (from, to, radius) => {
    const point = (part) => [50 - radius * Math.cos(Math.PI * part), 52 - radius * Math.sin(Math.PI * part)].join(' ');
    return `M ${point(from)} A ${radius} ${radius} 0 0 1 ${point(to)}`;
  };
  const draw = (each, w, h) => {
    const { max = 1, thresholds } = each.field.config;
    const last = each.field.values.at(-1);
    const shown = each.field.display(last);
    const steps = thresholds.steps.map((step) => Math.max(0, step.value ?? 0) / max);
    return (
      <svg viewBox="0 0 100 58" width={w} height={h}>
        <path d={arc(0, 1, 36)} fill="none" stroke={theme.colors.background.secondary} strokeWidth="11" />
        <path d={arc(0, Math.max(0, Math.min(1, last / max)), 36)} fill="none" stroke={shown.color} strokeWidth="11" />
        {thresholds.steps.map((step, at) => (
          <path key={at} d={arc(steps[at], steps[at + 1] ?? 1, 44)} fill="none" stroke={theme.visualization.getColorByName(step.color)} strokeWidth="2" />
        ))}
        <text x="50" y="50" textAnchor="middle" fontSize="15" fill={shown.color}>
          {shown.text + (shown.suffix ?? '')}
        </text>
      </svg>
    );
  };
  return <Several it={it} width={width} height={height} draw={draw} />;
}

function Bars({ it, width, height }) {
  const all = series(it).slice(0, 10);
  const config = it.panel.fieldConfig.defaults;
  const top = config.max ?? Math.max(...all.map((each) => each.field.values.at(-1)).filter(Number.isFinite), 1e-9);
  const line = Math.min(Math.floor(height / all.length), 34);
  return all.map((each, index) => {
    const shown = { ...each.field.display(each.field.values.at(-1)), title: each.name };
    const percent = Math.max(0, Math.min(1, each.field.values.at(-1) / top || 0));
    return (
      <BarGauge key={index} theme={theme} width={width} height={line - 6} field={{ ...config, min: 0, max: top, custom: {} }} value={{ ...shown, percent }} display={each.field.display} orientation="horizontal" displayMode="basic" itemSpacing={4} showUnfilled valueDisplayMode="color" namePlacement="auto" alignmentFactors={{ title: 'x'.repeat(Math.max(...all.map((it) => it.name.length))), text: '1234.5 ms' }} />
    );
  });
}

/** Rows that have the same labels are one. */
function merged({ panel, answers }) {
  const { excludeByName } = panel.transformations.find((it) => it.id === 'organize').options;
  const rows = new Map();
  answers.forEach(({ series }, at) => {
    for (const { metric, value } of series) {
      const labels = Object.fromEntries(Object.entries(metric).filter(([name]) => !excludeByName[name]));
      const key = [...rows.keys()].find((it) => Object.entries(labels).every(([name, text]) => !(name in it) || it[name] === text) && Object.entries(it).every(([name, text]) => !(name in labels) || labels[name] === text));
      const known = key ?? labels;
      Object.assign(known, labels);
      rows.set(known, { ...rows.get(known), [at]: Number(value[1]) });
    }
  });
  return [...rows];
}

function Rows({ it, width, height }) {
  const rows = merged(it);
  if (rows.length === 0) {
    return <Nothing />;
  }
  const labels = [...new Set(rows.flatMap(([labels]) => Object.keys(labels)))];
  const organize = it.panel.transformations.find((it) => it.id === 'organize').options;
  const fields = labels
    .filter((name) => !organize.excludeByName[name])
    .map((name) => ({ name, type: FieldType.string, values: rows.map(([labels]) => labels[name] ?? ''), config: { custom: {} } }));
  it.answers.forEach(({ refId }, at) => {
    const name = organize.renameByName[it.answers.length === 1 ? 'Value' : `Value #${refId}`];
    if (!name) {
      return;
    }
    const override = it.panel.fieldConfig.overrides.find((it) => it.matcher.options === name);
    const property = (id) => override?.properties.find((it) => it.id === id)?.value;
    const config = { ...it.panel.fieldConfig.defaults, unit: property('unit') ?? 'none', mappings: property('mappings'), custom: { cellOptions: property('custom.cellOptions') ?? { type: 'auto' } } };
    // Only words have colours.
    if (!config.mappings) {
      config.color = undefined;
      config.thresholds = undefined;
    }
    fields.push(field(name, rows.map(([, values]) => values[at] ?? null), config));
  });
  for (const each of fields) {
    each.display ??= getDisplayProcessor({ field: each, theme });
  }
  const data = { ...toDataFrame({ fields: [] }), fields, length: rows.length };
  return <Table data={data} width={width} height={height} columnMinWidth={60} cellHeight="sm" />;
}

/** From when to when a value stayed what it was. */
function runs(times, values, step) {
  const found = [];
  times.forEach((time, at) => {
    const last = found.at(-1);
    if (last && last[2] === values[at] && time - last[1] < 1000) {
      last[1] = time + step;
    } else {
      found.push([time, time + step, values[at]]);
    }
  });
  return found;
}

/** No part of @grafana/ui: a line for each series, coloured by its mappings. */
function Timeline({ it, width, height }) {
  const all = series(it);
  const side = 190;
  const line = Math.min(26, Math.floor((height - 22) / all.length));
  const span = (shown.end - shown.start) * 1000;
  const step = all.flatMap(({ times }) => times.slice(1).map((time, at) => time - times[at])).reduce((a, b) => Math.min(a, b), span);
  const clock = (part) => new Date(shown.start * 1000 + part * span).toISOString().slice(11, 16);
  return (
    <div style={{ fontSize: 11, color: theme.colors.text.secondary }}>
      {all.map(({ name, times, field }, index) => (
        <div key={index} style={{ display: 'flex', height: line, alignItems: 'center' }}>
          <div style={{ width: side, overflow: 'hidden', whiteSpace: 'nowrap', textOverflow: 'ellipsis', textAlign: 'right', paddingRight: 8 }}>{name}</div>
          <div style={{ position: 'relative', flex: 1, height: line - 3 }}>
            {runs(times, field.values, step).map(([from, to, value]) => (
              <div key={from} style={{ position: 'absolute', top: 0, bottom: 0, left: `${((from - shown.start * 1000) / span) * 100}%`, width: `${(Math.min(to, shown.end * 1000) - from) / span * 100}%`, background: field.display(value).color, opacity: 0.85 }} />
            ))}
          </div>
        </div>
      ))}
      <div style={{ marginLeft: side, display: 'flex', justifyContent: 'space-between' }}>
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <span key={part}>{clock(part)}</span>
        ))}
      </div>
    </div>
  );
}

const Nothing = () => <div style={{ display: 'flex', height: '100%', alignItems: 'center', justifyContent: 'center', color: theme.colors.text.secondary }}>No data</div>;
const KINDS = { timeseries: Lines, stat: Stat, gauge: Dial, bargauge: Bars, table: Rows, 'state-timeline': Timeline };

function Panel({ it }) {
  const { gridPos, title, type } = it.panel;
  const width = gridPos.w * column - GAP;
  const height = gridPos.h * (LINE + GAP) - GAP;
  const Kind = KINDS[type];
  const isEmpty = it.answers.every(({ series }) => series.length === 0);
  return (
    <div style={{ width, height, background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`, borderRadius: 2, overflow: 'hidden' }}>
      <div style={{ height: HEAD, padding: '6px 8px 0', fontWeight: 500, fontSize: 13, whiteSpace: 'nowrap', overflow: 'hidden' }}>{title}</div>
      <div style={{ height: height - HEAD - 10, padding: '0 8px' }}>{isEmpty ? <Nothing /> : <Kind it={it} width={width - 18} height={height - HEAD - 10} />}</div>
    </div>
  );
}

function Heading({ panel }) {
  return (
    <div style={{ width: WIDTH, height: LINE, display: 'flex', alignItems: 'center', gap: 8, fontWeight: 500, borderBottom: panel.collapsed ? `1px solid ${theme.colors.border.weak}` : 'none' }}>
      <span style={{ fontSize: 10 }}>{panel.collapsed ? '▶' : '▼'}</span> {panel.title}
    </div>
  );
}

function Page() {
  useEffect(() => {
    document.body.insertAdjacentHTML('beforeend', '<i id="drawn"></i>');
  }, []);
  const bottom = Math.max(...shown.panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div style={{ background: theme.colors.background.canvas, padding: GAP, color: theme.colors.text.primary, fontFamily: 'Inter, "DejaVu Sans", sans-serif', fontSize: 13 }}>
        <div style={{ display: 'flex', gap: 16, alignItems: 'baseline', height: 36 }}>
          <span style={{ fontSize: 18, fontWeight: 500 }}>{shown.title}</span>
          {shown.variables.slice(1).map((name) => (
            <span key={name} style={{ color: theme.colors.text.secondary }}>
              {name}: <span style={{ color: theme.colors.text.primary }}>All</span>
            </span>
          ))}
        </div>
        <div style={{ position: 'relative', height: bottom * (LINE + GAP) }}>
          {shown.panels.map((it) => (
            <div key={it.panel.id} style={{ position: 'absolute', left: it.panel.gridPos.x * column, top: it.panel.gridPos.y * (LINE + GAP) }}>
              {it.panel.type === 'row' ? <Heading panel={it.panel} /> : <Panel it={it} />}
            </div>
          ))}
        </div>
      </div>
    </ThemeContext.Provider>
  );
}

createRoot(document.getElementById('root')).render(<Page />);
