// The figures: what each shows of the rows under the chosen T and w, and the same in words.

// Points of a scatter plot by precision and format; beyond MOST_POINTS a density, and the points of `kept` alone.
function points(rows, members, kept, x, y, hover, yEnds = () => null, isOpen = () => false) {
  const traces = [];
  let shown = members;
  if (members.length > MOST_POINTS) {
    shown = kept;
    traces.push({
      type: "histogram2d", x: members.map((row) => Math.log10(x(row))), y: members.map(y), nbinsx: 80, nbinsy: 60,
      xaxis: "x2", colorscale: [[0, "rgba(0,114,178,0)"], [0.02, "rgba(0,114,178,.25)"], [1, "rgba(0,114,178,1)"]],
      showscale: false, hoverinfo: "skip", name: "number of files",
    });
  }
  for (const [name, group] of grouped(shown, (row) => `${rows.text("precision", row)} ${rows.text("format", row)}`)) {
    const [precision, format] = [rows.text("precision", group[0]), rows.text("format", group[0])];
    traces.push({
      type: "scatter", mode: "markers", name, x: group.map(x), y: group.map(y), text: group.map(hover), hovertemplate: "%{text}<extra></extra>",
      error_x: bars(group, x, (row) => rows.interval("median_ms", row)), error_y: bars(group, y, yEnds),
      marker: { color: colourOf(precision), symbol: group.map((row) => symbolOf(format) + (isOpen(row) ? "-open" : "")), size: 9, line: { width: 1.5, color: colourOf(precision) } },
    });
  }
  return traces;
}

function range(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// "1.2 to 1.4", or one of them where they show the same digits.
function fromTo(limits, digits = 3) {
  return [...new Set(limits.map((value) => significant(value, digits)))].join(" to ");
}

// Limits of a logarithmic axis with room around the points.
function logRange(values, room = 0.08) {
  const [low, high] = range(values).map(Math.log10);
  const margin = Math.max((high - low) * room, 0.05);
  return [low - margin, high + margin];
}

// A logarithmic axis with ticks at round numbers; Plotly's own leave out the decade within a decade ("2", "3", "5").
function logAxis(title, limits, more = {}) {
  const decades = limits[1] - limits[0];
  const many = decades > (isNarrow() ? 1.3 : 4); // labels side by side would turn on their sides
  const steps = decades < 0.6 ? [1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9] : many ? [1] : [1, 2, 5];
  const ticks = [];
  for (let decade = Math.floor(limits[0]); decade <= limits[1]; decade++) {
    for (const step of steps) {
      const at = decade + Math.log10(step);
      if (at >= limits[0] && at <= limits[1]) ticks.push(at);
    }
  }
  const text = ticks.map((at) => String(Number(Math.pow(10, at).toPrecision(3))));
  return axis(title, { range: limits, tickvals: more.type === "log" ? ticks.map((at) => Math.pow(10, at)) : ticks, ticktext: text, ...more });
}

function drawAccuracy(rows, group, judged, target, w) {
  const known = judged.order.filter((row) => judged.scores.get(row) !== null);
  if (known.length === 0) {
    draw("accuracy", [], {}, "No row has both an accuracy and a latency.");
    return;
  }
  const x = (row) => rows.value("median_ms", row);
  const y = (row) => rows.value("top1", row) * 100;
  const hover = (row) => `${escapeText(rows.label(row))}<br>${withInterval(x(row), ...(rows.interval("median_ms", row) ?? [null, null]))} ms<br>top-1 ${topOne(rows, row)} % ${rows.text("provenance", row)}<br>objective ${withInterval(...rows.scored(row, target, w), 3)}, rank ${judged.ranks.get(row)}`;
  const xRange = logRange(known.flatMap((row) => rows.interval("median_ms", row) ?? [x(row)]).concat([target]));
  const ends = (row) => rows.interval("top1", row)?.map((end) => end * 100) ?? null;
  const [low, high] = range(known.flatMap((row) => ends(row) ?? [y(row)]));
  const room = Math.max((high - low) * 0.1, 0.5);
  const yRange = [low - room, high + room];
  const best = known[0];
  const traces = isoLines(rows, judged.scores.get(best), xRange, yRange, target, w);
  const front = group.front;
  traces.push({
    type: "scatter", mode: "lines", name: "Pareto front", x: front.map(x), y: front.map(y),
    line: { shape: "hv", color: css("--text"), width: 1.5, dash: "dash" }, hoverinfo: "skip",
  });
  traces.push(...points(rows, known, [...new Set([...front, ...known.slice(0, 50)])], x, y, hover, ends, (row) => rows.text("provenance", row) !== "measured"));
  traces.push({
    type: "scatter", mode: "markers", name: "first", x: [x(best)], y: [y(best)], hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 18, color: css("--accent"), line: { width: 2 } },
  });
  const line = { type: "line", x0: target, x1: target, yref: "paper", y0: 0, y1: 1, line: { color: css("--accent"), dash: "dot" } };
  const words = `${known.length} files. The Pareto front, from the fastest: ${listed(front.map((row) => `${rows.label(row)}, ${significant(x(row))} ms, ${topOne(rows, row)} %`))}. ` +
    `Grey lines join points of equal objective; the highest touches ${rows.label(best)}. The vertical line is T. ${barsInWords(rows, known)}${sources(rows, known)}`;
  fitLegend("accuracy", traces);
  draw("accuracy", traces, {
    xaxis: logAxis("median latency, ms", xRange, { type: "log" }), xaxis2: { overlaying: "x", visible: false, range: xRange },
    yaxis: axis("top-1, %", { range: yRange }), shapes: [line],
  }, words);
}

function barsInWords(rows, members) {
  if (members.length > MOST_BARS) return "";
  const found = [["latencies", "median_ms"], ["counted accuracies", "top1"]].filter(([, column]) => members.some((row) => rows.interval(column, row)));
  return found.length ? `Bars are the intervals of ${found.map(([name]) => name).join(" and ")}. ` : "";
}

// Open symbols stand for accuracies that are not the file's own.
function sources(rows, members) {
  const counts = [...grouped(members, (row) => rows.text("provenance", row))].map(([name, found]) => `${found.length} ${name}`);
  const open = members.some((row) => rows.text("provenance", row) !== "measured") ? " Of an open symbol the accuracy is the network's published one, not measured on the file." : "";
  return `Accuracies: ${counts.join(", ")}; latencies are measured.${open}`;
}

function isoLines(rows, best, xRange, yRange, target, w) {
  const steps = Array.from({ length: 121 }, (_, i) => Math.pow(10, xRange[0] + ((xRange[1] - xRange[0]) * i) / 120));
  return rows.data.iso_losses.map((loss, i) => ({
    type: "scatter", mode: "lines", name: "equal objective", legendgroup: "iso", showlegend: i === 0,
    x: steps, y: steps.map((latency) => {
      const accuracy = 100 * isoAccuracy(best * (1 - loss), latency, target, w);
      return accuracy >= yRange[0] && accuracy <= yRange[1] ? accuracy : null;
    }),
    line: { color: css("--dim"), width: 1 }, opacity: 0.7, hovertemplate: `objective ${(best * (1 - loss)).toFixed(4)}<extra></extra>`,
  }));
}

function drawFlops(rows, group) {
  const known = rows.of(group).filter((row) => rows.value("macs", row) && rows.value("median_ms", row) !== null);
  const x = (row) => rows.value("median_ms", row);
  const y = (row) => rows.value("macs", row) / 1e6;
  const hover = (row) => `${escapeText(rows.label(row))}<br>${significant(x(row))} ms, ${y(row).toFixed(1)} M multiply-adds<br>${significant(y(row) / x(row))} GMAC/s`;
  const correlations = group.correlations.map((found) =>
    found.rho === null ? `${found.configuration}: unknown, ${found.networks} network${found.networks === 1 ? "" : "s"}` : `${found.configuration}: ${found.rho.toFixed(2)} over ${found.networks} networks`);
  const words = `${known.length} files. If FLOPs stood for latency, the files of one configuration would lie on one rising line. Spearman's rank correlation: ${listed(correlations)}.`;
  const traces = known.length ? points(rows, known, known.slice(0, 200), x, (row) => Math.log10(y(row)), hover) : [];
  if (known.length === 0) {
    draw("flops", traces, {}, words);
    return;
  }
  const xRange = logRange(known.map(x));
  fitLegend("flops", traces);
  draw("flops", traces, {
    xaxis: logAxis("median latency, ms", xRange, { type: "log" }), xaxis2: { overlaying: "x", visible: false, range: xRange },
    yaxis: logAxis("multiply-adds, M", logRange(known.map(y), 0.15)),
  }, words);
}

const AXIS_REMS = 4; // what an axis takes with its labels and title

// Three bar charts that share their rows: side by side, or one below the other on a narrow screen, each of the rows that
// it has a bar for.
function drawPrecisions(rows, group) {
  const pairs = group.pairs;
  const narrow = isNarrow();
  const nameOf = (pair) => (narrow ? rows.label(pair.other).replace(" on ", "<br>on ").replace(" (", "<br>(") : rows.label(pair.other));
  const ratio = (value) => `${value.toFixed(2)}x`;
  const change = (value) => (value === null ? "unknown" : `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)}`);
  const parts = [
    ["latency / fp32", "#0072B2", (p) => p.latency_ratio, (p) => ratio(p.latency_ratio)],
    ["size / fp32", "#009E73", (p) => p.size_ratio, (p) => ratio(p.size_ratio)],
    ["top-1 change, points", "#D55E00", (p) => (p.top1_change === null ? null : p.top1_change * 100), (p) => change(p.top1_change)],
  ].filter(([, , value]) => pairs.some((p) => value(p) !== null));
  const shown = parts.map(([, , value]) => (narrow ? pairs.filter((p) => value(p) !== null) : pairs));
  const heights = narrow ? shown.map((members) => AXIS_REMS + 2.4 * members.length) : [Math.max(12, 5 + 1.5 * pairs.length)];
  const rems = heights.reduce((sum, height) => sum + height, 0);
  const details = { showlegend: false, bargap: narrow ? 0.3 : 0.15, margin: { l: 10, r: 20, t: ROOM_FOR_BUTTONS, b: 50 } };
  let top = 1;
  const traces = parts.map(([title, colour, value, text], i) => {
    const [x, y] = [i ? `x${i + 1}` : "x", narrow && i ? `y${i + 1}` : "y"];
    const places = shown[i].map((_, place) => place); // two files may bear one label
    const names = shown[i].map(nameOf);
    const span = narrow ? [0, 1] : [(i + 0.05) / parts.length, (i + 0.95) / parts.length];
    details[`xaxis${i ? i + 1 : ""}`] = axis(narrow ? title.replace(", ", ",<br>") : title, { domain: span, rangemode: "tozero", anchor: y });
    if (narrow || i === 0) {
      const bottom = narrow ? Math.max(top - heights[i] / rems, 0) : 0;
      details[`yaxis${i ? i + 1 : ""}`] = axis("", {
        autorange: "reversed", domain: [narrow ? bottom + AXIS_REMS / rems : 0, top], anchor: x,
        tickvals: places, ticktext: names, tickfont: { size: narrow ? 10 : 12 },
      });
      top = bottom;
    }
    return {
      type: "bar", orientation: "h", name: title, y: places, customdata: names, x: shown[i].map(value), marker: { color: colour }, xaxis: x, yaxis: y,
      text: shown[i].map(text), textposition: "auto", textfont: { size: 11 }, hovertemplate: "%{customdata}: %{text}<extra></extra>",
    };
  });
  const told = pairs.map((p) => `${rows.label(p.other)}: ${ratio(p.latency_ratio)} the time, ${ratio(p.size_ratio)} the size, top-1 ${p.top1_change === null ? "change unknown (not measured on these files)" : `${change(p.top1_change)} points`}`);
  document.querySelector("#precisions .plot").style.height = `${rems}rem`;
  const few = pairs.length < rows.data.most_pairs ? "" : `The ${pairs.length} best ranked. `;
  draw("precisions", traces, details, `${few}${listed(told)}.`);
}

const WIDE = 3;

function drawSamples(rows, row) {
  const details = rows.data.details[row];
  const colour = colourOf(rows.text("precision", row));
  const traces = (details?.samples_ms ?? []).map((samples, i) => ({
    type: "box", name: String(i + 1), y: samples, boxpoints: "all", jitter: 0.6, pointpos: 0, marker: { color: colour, size: 3, opacity: 0.5 },
    line: { color: css("--text"), width: 1 }, fillcolor: "rgba(0,0,0,0)", showlegend: false,
  }));
  const medians = (details?.conditions ?? []).map((c) => c.median_ms);
  const words = medians.length ? `${rows.label(row)}: ${medians.length} ${medians.length > 1 ? "launches, a process each; their medians are" : "launch, of one process; its median is"} ${fromTo(range(medians), 4)} ms.` : `${rows.label(row)}: no samples.`;
  const limits = range((details?.samples_ms ?? []).flat());
  // Some few samples of many times the median would press all others together.
  const wide = limits[1] > WIDE * Math.min(...medians);
  const latency = wide ? logAxis("latency, ms", logRange(limits), { type: "log" }) : axis("latency, ms");
  draw("samples", traces, { xaxis: axis("launch", { type: "category" }), yaxis: latency }, words);
}

function drawConditions(rows, row) {
  const conditions = rows.data.details[row]?.conditions ?? [];
  const kinds = [["median_ms", "latency, ms", "#0072B2"], ["temperature_c", "temperature, °C", "#D55E00"], ["clock_mhz", "fastest clock, MHz", "#009E73"], ["load", "load, 1 min", "#CC79A7"]];
  const known = kinds.filter(([key]) => conditions.some((c) => c[key] !== null));
  const unknown = kinds.filter((kind) => !known.includes(kind)).map(([, title]) => title.split(",")[0]);
  const details = { xaxis: axis("since the first launch, s"), showlegend: false, grid: { rows: Math.max(known.length, 1), columns: 1, subplots: known.map((_, i) => [i ? `xy${i + 1}` : "xy"]) } };
  const traces = known.map(([key, title, colour], i) => {
    details[i ? `yaxis${i + 1}` : "yaxis"] = axis(title.replace(", ", "<br>"), { title: { text: title.replace(", ", "<br>"), font: { size: 11 } } });
    return {
      type: "scatter", mode: "lines+markers", x: conditions.map((c) => c.at_s), y: conditions.map((c) => c[key]), yaxis: i ? `y${i + 1}` : "y",
      name: title, line: { color: colour }, hovertemplate: `%{y} ${title}<extra></extra>`,
    };
  });
  document.querySelector("#conditions .plot").style.height = `${6 + 7 * known.length}rem`;
  const told = known.map(([key, title]) => {
    return `${title}: ${fromTo(range(conditions.map((c) => c[key]).filter((v) => v !== null)))}`;
  });
  const missing = unknown.length ? ` Could not be read here: ${unknown.join(", ")}.` : "";
  draw("conditions", traces, details, `Before each launch. ${told.join("; ")}.${missing}`);
}

const MOST_OPS = 30;
function drawProfiles(rows) {
  const choice = document.querySelector("#profile select");
  const profiles = rows.data.profiles ?? [];
  if (choice.options.length === 0) {
    profiles.forEach((profile, i) => choice.append(new Option(profile.title, i)));
    choice.addEventListener("change", () => drawProfile(profiles[Number(choice.value)]));
  }
  drawProfile(profiles[Number(choice.value)]);
}

function drawProfile(profile) {
  if (!profile) {
    draw("profile", [], {}, "");
    return;
  }
  const narrow = isNarrow();
  const shortened = (name) => {
    const short = narrow ? name.replace("(added by the runtime)", "(added)") : name;
    return narrow && short.length > 22 ? `…${short.slice(-21)}` : short;
  };
  const ops = [...profile.ops].sort((a, b) => b.ms - a.ms).slice(0, MOST_OPS);
  const total = profile.ops.reduce((sum, op) => sum + op.ms, 0);
  const kinds = [...grouped(profile.ops, (op) => op.kind)].map(([kind, members]) => [kind, members.reduce((sum, op) => sum + op.ms, 0)]).sort((a, b) => b[1] - a[1]);
  // Okabe and Ito's, then Tol's, of which none is like one of theirs.
  const palette = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#999933", "#AA4499", "#332288"];
  const traces = kinds.map(([kind], i) => {
    const members = ops.filter((op) => op.kind === kind);
    return {
      type: "bar", orientation: "h", name: kind, x: members.map((op) => op.ms), y: members.map((op) => op.name), marker: { color: palette[i] ?? "#999999" },
      text: members.map((op) => `${significant((100 * op.ms) / total, 2)} %${op.macs ? `, ${significant(op.macs / op.ms / 1e6)} GMAC/s` : ""}`), hovertemplate: "%{y}: %{x:.3f} ms, %{text}<extra></extra>", textposition: "none",
    };
  }).filter((trace) => trace.x.length);
  const height = 11 + 1.3 * ops.length;
  document.querySelector("#profile .plot").style.height = `${height}rem`;
  draw("profile", traces, {
    xaxis: axis(narrow ? "one run, ms" : "time of one run, ms"),
    yaxis: axis("", { tickvals: ops.map((op) => op.name), ticktext: ops.map((op) => shortened(op.name)), tickfont: { size: narrow ? 10 : 12 }, categoryorder: "array", categoryarray: ops.map((op) => op.name).reverse() }), barmode: "stack", margin: { l: narrow ? 10 : 200, r: 20, t: ROOM_FOR_BUTTONS, b: 50 },
    legend: { orientation: "h", traceorder: "normal", y: -60 / (16 * height - 110), yanchor: "top" },
  }, `${profile.title}, ${profile.how}. The ${ops.length} slowest of ${profile.ops.length} ops. By kind: ${listed(kinds.map(([kind, ms]) => `${kind} ${significant((100 * ms) / total, 2)} %`))}.`);
}
