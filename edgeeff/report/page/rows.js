// The page's data and the order of its rows under the chosen T and w. Rows are numbers: indices into the columns.

async function unpack(text) {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser is too old for this page (it has no DecompressionStream): take one from 2023 or later");
  }
  const bytes = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
}

const TYPES = { uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array };

// A column of edgeeff/report/_page_data.py: a typed array, little-endian as all that runs a browser is.
function column(packed) {
  return new TYPES[packed.type](Uint8Array.from(atob(packed.base64), (c) => c.charCodeAt(0)).buffer);
}

// Top-1 in percent, with its interval where it has one, as edgeeff/report/_document.py has it.
function topOne(rows, row) {
  const [value, ends] = [rows.value("top1", row), rows.interval("top1", row)];
  if (value === null) return "unknown";
  const percent = (fraction, digits) => (fraction * 100).toFixed(digits);
  if (ends) return `${percent(value, 1)} [${ends.map((end) => percent(end, 1)).join(", ")}]`;
  return percent(value, Math.abs(value * 1000 - Math.round(value * 1000)) < 1e-6 ? 1 : 2);
}

class Rows {
  constructor(data) {
    this.data = data;
    this.columns = {};
    for (const [name, found] of Object.entries(data.columns)) {
      this.columns[name] = found.values ? { values: found.values, codes: column(found.codes) } : column(found);
    }
  }

  text(column, row) {
    const found = this.columns[column];
    return found.values[found.codes[row]];
  }

  value(column, row) {
    const found = this.columns[column][row];
    return Number.isNaN(found) ? null : found;
  }

  // The ends of a row's interval; null where it has none.
  interval(column, row) {
    const ends = [this.value(`${column}_low`, row), this.value(`${column}_high`, row)];
    return ends[0] === null ? null : ends;
  }

  label(row) {
    const accelerator = this.text("accelerator", row);
    const random = this.text("weights", row).startsWith("random") ? " (random weights)" : "";
    const where = accelerator === "cpu" ? "" : `, ${accelerator}`;
    return `${this.text("name", row)}${random} ${this.text("precision", row)} ${this.text("format", row)} on ${this.text("runtime", row)}${where}`;
  }

  of(group) {
    return Array.from({ length: group.count }, (_, i) => group.first + i);
  }

  // The objective of every row of a group (null where it is unknown), and each row's rank from 1. Of rows that tie,
  // the faster comes first, as in edgeeff/report/build.py.
  judge(group, target, w) {
    const { top1, median_ms: latency } = this.columns;
    const rows = this.of(group);
    const scores = new Map();
    for (const row of rows) {
      scores.set(row, top1[row] >= 0 && latency[row] > 0 ? objective(top1[row], latency[row], target, w) : null);
    }
    const time = (row) => (Number.isNaN(latency[row]) ? Infinity : latency[row]);
    const order = rows.sort((a, b) => (scores.get(b) ?? -1) - (scores.get(a) ?? -1) || time(a) - time(b) || a - b);
    const ranks = new Map();
    order.forEach((row, place) => ranks.set(row, scores.get(row) === null ? null : place + 1));
    return { order, scores, ranks };
  }

  // The objective of a row with its interval: [value, low, high].
  scored(row, target, w) {
    const [top1, latency] = [this.value("top1", row), this.value("median_ms", row)];
    return scored(top1, latency, target, w, this.interval("median_ms", row), this.interval("top1", row));
  }

  // Whether the latency is within the target: its sure bounds decide (edgeeff/stats.py), not the median.
  meets(row, target) {
    if (this.value("median_ms", row) === null) return "unknown";
    const low = this.value("sure_low_ms", row);
    const high = this.value("sure_high_ms", row);
    if (low === null) return "uncertain";
    if (high <= target) return "yes";
    return low > target ? "no" : "uncertain";
  }
}
