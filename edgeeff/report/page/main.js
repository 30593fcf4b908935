// The page: its controls, its table, and drawing anew what a control changes.

const SOFT = { name: "soft", alpha: -0.07, beta: -0.07 };
const HARD = { name: "hard", alpha: 0, beta: -1 };
const PAGE_ROWS = 25;
const PRINTED_ROWS = 500; // of more, paper shows the first
const SCORE_DIGITS = 3; // of an objective: accuracies have no more
const $ = (id) => document.getElementById(id);

function escapeText(text) {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

const state = { rows: null, group: null, target: 75, w: SOFT, judged: null, sort: "rank", descending: false, page: 0, found: [] };

// title, kind, the value that sorts (null sorts last), the text that is shown (default: the value).
const COLUMNS = [
  ["rank", "number", (r) => state.judged.ranks.get(r), (r) => state.judged.ranks.get(r) ?? "-"],
  ["variant", "text", (r) => state.rows.text("name", r)],
  ["format", "text", (r) => state.rows.text("format", r)],
  ["precision", "text", (r) => state.rows.text("precision", r)],
  ["runtime", "text", (r) => state.rows.text("runtime", r)],
  ["accelerator", "text", (r) => state.rows.text("accelerator", r)],
  ["median, ms (measured)", "number", (r) => state.rows.value("median_ms", r), (r) => withInterval(state.rows.value("median_ms", r), ...(state.rows.interval("median_ms", r) ?? [null, null]))],
  ["meets T", "text", (r) => state.rows.meets(r, state.target)],
  ["top-1, %", "number", (r) => state.rows.value("top1", r), (r) => topOne(state.rows, r)],
  ["source of top-1", "text", (r) => state.rows.text("provenance", r)],
  ["objective", "number", (r) => state.judged.scores.get(r), (r) => known(state.judged.scores.get(r), () => withInterval(...state.rows.scored(r, state.target, state.w), SCORE_DIGITS))],
  ["p90, ms (measured)", "number", (r) => state.rows.value("p90_ms", r), (r) => known(state.rows.value("p90_ms", r), significant)],
  ["multiply-adds, M", "number", (r) => state.rows.value("macs", r), (r) => known(state.rows.value("macs", r), (v) => (v / 1e6).toFixed(1))],
  ["parameters, M", "number", (r) => state.rows.value("parameters", r), (r) => known(state.rows.value("parameters", r), (v) => (v / 1e6).toFixed(2))],
  ["size, MB", "number", (r) => state.rows.value("size_bytes", r), (r) => (state.rows.value("size_bytes", r) / 1e6).toFixed(2)],
  ["launches", "number", (r) => state.rows.value("launches", r)],
  ["weights", "text", (r) => state.rows.text("weights", r)],
  ["caveats", "text", (r) => state.rows.text("caveats", r)],
];

function known(value, format) {
  return value === null || value === undefined ? "unknown" : format(value);
}

// A target as a person would write it: 75, not 75.0.
function plainNumber(value) {
  return Number(value.toPrecision(4));
}

// The table's rows in its present order, found by the words of the search field.
function arrange() {
  const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = state.judged.order.filter((row) => {
    const label = `${state.rows.label(row)} ${state.rows.text("file", row)}`.toLowerCase();
    return words.every((word) => label.includes(word));
  });
  const [, , key] = COLUMNS.find(([title]) => title === state.sort) ?? COLUMNS[0];
  if (state.sort !== "rank" || state.descending) {
    const keys = new Map(rows.map((row) => [row, key(row)]));
    const sign = state.descending ? -1 : 1;
    rows.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
  }
  state.found = rows;
  state.page = 0;
}

// Where all is measured on the CPU, a column that says so is left out.
function columns() {
  const accelerated = state.rows.of(state.group).some((row) => state.rows.text("accelerator", row) !== "cpu");
  return COLUMNS.filter(([title]) => accelerated || title !== "accelerator");
}

function showHead() {
  const head = document.createElement("tr");
  for (const [title, kind] of columns()) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.className = title.length < 10 ? `${kind} short` : kind;
    cell.setAttribute("aria-sort", title !== state.sort ? "none" : state.descending ? "descending" : "ascending");
    cell.append(sortButton(title));
    head.append(cell);
  }
  document.querySelector("#table thead").replaceChildren(head);
}

// On paper a mere text: where a page repeats the table's head, browsers leave out the buttons in it.
function sortButton(title) {
  const button = document.createElement(printing ? "span" : "button");
  if (!printing) button.type = "button";
  button.textContent = title;
  button.addEventListener("click", () => {
    state.descending = state.sort === title && !state.descending;
    state.sort = title;
    arrange();
    showTable();
    [...document.querySelectorAll("#table th button")].find((b) => b.textContent === title).focus();
  });
  return button;
}

function showTable() {
  showHead();
  const size = printing ? PRINTED_ROWS : PAGE_ROWS;
  const pages = Math.max(1, Math.ceil(state.found.length / size));
  const shownColumns = columns();
  const shown = state.found.slice(state.page * size, (state.page + 1) * size);
  document.querySelector("#table tbody").replaceChildren(...shown.map((row) => {
    const line = document.createElement("tr");
    for (const [title, kind, key, text] of shownColumns) {
      const cell = document.createElement("td");
      cell.className = kind;
      cell.textContent = String((text ?? key)(row));
      if (title === "source of top-1") cell.title = state.rows.text("accuracy_note", row);
      if (title === "variant") cell.title = state.rows.text("file", row);
      line.append(cell);
    }
    return line;
  }));
  const files = `${state.found.length} file${state.found.length === 1 ? "" : "s"}`;
  $("page").textContent = printing ? (pages > 1 ? `The first ${size} of ${files}.` : "") : `Page ${state.page + 1} of ${pages}, ${files}`;
  $("previous").disabled = state.page === 0;
  $("next").disabled = state.page >= pages - 1;
}

function showWords() {
  const { judged, rows, target, w } = state;
  const exponent = w.alpha === w.beta ? `${w.alpha}` : `${w.alpha} within T and ${w.beta} beyond it`;
  $("formula").textContent = `Ranked by ACC * (LAT / ${plainNumber(target)} ms)^w, w = ${exponent} (MnasNet, section 3.1); more is better. In brackets: the interval of the median, which follows the launches; of a top-1 that was counted on images, Wilson's of 95 %; and of the objective, which follows from both.`;
  const first = judged.order.filter((row) => judged.ranks.get(row) !== null).slice(0, 3);
  $("summary").textContent = first.length
    ? `T = ${plainNumber(target)} ms, w = ${exponent}: ${first.map((row) => `${judged.ranks.get(row)}. ${rows.label(row)}`).join("; ")}.`
    : "No row has both an accuracy and a latency.";
}

// What T and w change.
function judge() {
  state.judged = state.rows.judge(state.group, state.target, state.w);
  arrange();
  showTable();
  showWords();
  drawAccuracy(state.rows, state.group, state.judged, state.target, state.w);
}

// What the choice of a device, or of colours, changes.
function redraw() {
  judge();
  drawFlops(state.rows, state.group);
  drawPrecisions(state.rows, state.group);
  drawLaunches();
  drawProfiles(state.rows);
}

function drawLaunches() {
  const row = Number($("row").value);
  drawSamples(state.rows, row);
  drawConditions(state.rows, row);
}

function listRows() {
  const options = state.rows.of(state.group).slice(0, state.group.detailed).map((row) => new Option(state.rows.label(row), row));
  $("row").replaceChildren(...options);
}

function syncControls() {
  $("target").value = Math.log10(state.target);
  $("target-number").value = plainNumber(state.target);
  $("w").value = state.w.beta;
  $("w-number").value = state.w.beta;
  $("kind").value = ["soft", "hard"].includes(state.w.name) ? state.w.name : "own";
  $("w").disabled = $("w-number").disabled = state.w.name === "hard";
}

let pending = 0;
function soon(action) {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(action);
}

function setTarget(value) {
  if (!(value > 0) || !Number.isFinite(value)) return;
  state.target = value;
  syncControls();
  soon(judge);
}

function setExponent(value) {
  if (!(value <= 0) || !Number.isFinite(value)) return;
  state.w = value === SOFT.alpha ? SOFT : { name: "own", alpha: value, beta: value };
  syncControls();
  soon(judge);
}

function setKind(kind) {
  state.w = kind === "soft" ? SOFT : kind === "hard" ? HARD : { name: "own", alpha: state.w.beta, beta: state.w.beta };
  syncControls();
  soon(judge);
}

function chooseGroup(number) {
  state.group = state.rows.data.groups[number];
  listRows();
  redraw();
}

const THEMES = { system: "", light: "light", dark: "dark" };
function nextTheme() {
  const names = Object.keys(THEMES);
  const name = names[(names.indexOf(document.documentElement.dataset.theme || "system") + 1) % names.length];
  if (THEMES[name]) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  $("theme").textContent = `Colours: ${name}`;
  $("theme").setAttribute("aria-label", `Colours: ${name === "system" ? "as the system says" : name}`);
  redraw();
}

function listen() {
  $("group").addEventListener("change", (event) => chooseGroup(Number(event.target.value)));
  $("target").addEventListener("input", (event) => setTarget(Math.pow(10, Number(event.target.value))));
  $("target-number").addEventListener("change", (event) => setTarget(parseFloat(event.target.value)));
  $("w").addEventListener("input", (event) => setExponent(Number(event.target.value)));
  $("w-number").addEventListener("change", (event) => setExponent(parseFloat(event.target.value)));
  $("kind").addEventListener("change", (event) => setKind(event.target.value));
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("find").addEventListener("input", () => { arrange(); showTable(); });
  $("row").addEventListener("change", drawLaunches);
  $("previous").addEventListener("click", () => { state.page -= 1; showTable(); });
  $("next").addEventListener("click", () => { state.page += 1; showTable(); });
  $("theme").addEventListener("click", nextTheme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Paper is white whatever the screen is, and as wide as it is.
  let theme;
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    printing = true;
    redraw();
  });
  addEventListener("afterprint", () => {
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
    printing = false;
    redraw();
  });
}

async function start() {
  const data = await unpack($("data").textContent);
  $("data").remove();
  state.rows = new Rows(data);
  state.target = data.target_ms;
  state.w = data.w;
  data.groups.forEach((group, i) => $("group").append(new Option(group.name, i)));
  syncControls();
  listen();
  chooseGroup(0);
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  $("failure").textContent = `The report could not be shown: ${error.message}`;
  $("failure").hidden = false;
  document.documentElement.dataset.ready = "failed";
  console.error(error);
});
