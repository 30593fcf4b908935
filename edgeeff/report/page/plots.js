// How the plots look: colours that colour-blind readers tell apart (Okabe and Ito), symbols that do without colours.

const PRECISION_COLOURS = {
  fp32: "#0072B2", fp16: "#56B4E9", int8: "#D55E00", mixed: "#E69F00", "int8-weights": "#009E73", dynamic: "#CC79A7",
};
const FORMAT_SYMBOLS = { tflite: "circle", onnx: "diamond" };
const ROOM_FOR_BUTTONS = 32; // above a plot, in pixels
const MOST_POINTS = 2000; // of a scatter plot; more are drawn as a density with the front on top

function colourOf(precision) {
  return PRECISION_COLOURS[precision] ?? "#999999";
}

function symbolOf(format) {
  return FORMAT_SYMBOLS[format] ?? "square";
}

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(title, more = {}) {
  return { title: { text: title, standoff: 8 }, gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true, ...more };
}

// While the page is printed, plots are as wide as the paper: A4 or Letter across, less its margins, in CSS pixels.
const PAPER = 980;
let printing = false;

// A phone's screen; paper is wide whatever the screen is.
function isNarrow() {
  return document.documentElement.clientWidth < 640 && !printing;
}

function layout(more) {
  return {
    ...(printing ? { width: PAPER, autosize: false } : { autosize: true }),
    paper_bgcolor: css("--back"), plot_bgcolor: css("--back"), font: { color: css("--text"), size: 13 },
    margin: { l: 60, r: 20, t: ROOM_FOR_BUTTONS, b: 50 }, legend: { orientation: "h", y: isNarrow() ? -0.3 : -0.2, yanchor: "top", font: { size: isNarrow() ? 10 : 12 } }, hovermode: "closest", ...more,
  };
}

// The height of a plot whose legend stands below it: on a phone in one column or two, it must not take the plot's place.
function fitLegend(id, traces) {
  const names = traces.filter((trace) => trace.name && trace.showlegend !== false).map((trace) => trace.name.length);
  const lines = Math.ceil(names.length / (Math.max(...names) > 16 ? 1 : 2));
  document.querySelector(`#${id} .plot`).style.height = isNarrow() ? `${20 + 1.2 * lines}rem` : "";
}

const MOST_BARS = 100; // points with bars of their intervals; more would hide one another

// The bars of points' intervals in one direction; no option where none has an interval.
function bars(members, value, interval) {
  const ends = members.map((row) => interval(row));
  if (members.length > MOST_BARS || ends.every((found) => found === null)) return undefined;
  const side = (place) => ends.map((found, i) => (found ? Math.abs(found[place] - value(members[i])) : null));
  return { type: "data", symmetric: false, array: side(1), arrayminus: side(0), thickness: 1, width: 3 };
}

// Nothing leaves the page: the button that uploads a chart is taken away.
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: "hover", modeBarButtonsToRemove: ["select2d", "lasso2d", "sendChartToCloud"], plotlyServerURL: "" };

// Draws a plot into a figure, with its description in words below and as its accessible name.
function draw(id, traces, details, words) {
  const figure = document.getElementById(id);
  const plot = figure.querySelector(".plot");
  figure.hidden = traces.length === 0;
  figure.querySelector("figcaption").textContent = words;
  if (traces.length === 0) return;
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", words);
  Plotly.react(plot, traces, layout(details), CONFIG);
}

function grouped(items, key) {
  const found = new Map();
  for (const item of items) {
    const name = key(item);
    if (!found.has(name)) found.set(name, []);
    found.get(name).push(item);
  }
  return found;
}

// A list of names in a sentence, cut where it gets long.
function listed(names, most = 8) {
  if (names.length <= most) return names.join("; ");
  return `${names.slice(0, most).join("; ")}; and ${names.length - most} more`;
}
