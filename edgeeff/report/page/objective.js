// ACC * (LAT / T)^w (Tan et al. 2019, section 3.1); the same as edgeeff/objective.py, which the tests hold it against.
function objective(accuracy, latency, target, w) {
  return accuracy * Math.pow(latency / target, latency <= target ? w.alpha : w.beta);
}

// The latency at which a row of this accuracy has this objective: the iso-line, solved for ACC.
function isoAccuracy(value, latency, target, w) {
  return value / Math.pow(latency / target, latency <= target ? w.alpha : w.beta);
}

// The objective with its interval, [value, low, high]; null where there is none. The same as `scored` there: the ends of
// the latency's interval give the objective's, swapped, and that of the accuracy is joined to it in logarithms.
function scored(accuracy, latency, target, w, latencyEnds, accuracyEnds) {
  const value = objective(accuracy, latency, target, w);
  const factors = [];
  if (latencyEnds) factors.push([value, ...latencyEnds.map((end) => objective(accuracy, end, target, w)).reverse()]);
  if (accuracyEnds) factors.push([accuracy, ...accuracyEnds]);
  if (factors.length === 0) return [value, null, null];
  if (accuracy === 0) return [0, 0, accuracyEnds ? objective(accuracyEnds[1], latencyEnds ? latencyEnds[0] : latency, target, w) : 0];
  const down = Math.hypot(...factors.map(([middle, low]) => (low > 0 ? Math.log(middle / low) : Infinity)));
  const up = Math.hypot(...factors.map(([middle, , high]) => Math.log(high / middle)));
  return [value, value * Math.exp(-down), value * Math.exp(up)];
}

// Fixed-point notation with so many significant digits, as edgeeff/report/_numbers.py has it.
function significant(value, digits = 3) {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const decimals = digits - 1 - Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.min(Math.max(decimals, 0), 20));
}

// The value and its interval, to two digits of the interval's half-width.
function withInterval(value, low, high, digits = 5) {
  if (value === null) return "unknown";
  if (low === null || high === null) return significant(value);
  const most = digits - 1 - (value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value))));
  const half = (high - low) / 2;
  let decimals = half > 0 ? Math.min(1 - Math.floor(Math.log10(half)), most) : most;
  decimals = Math.min(Math.max(decimals, 0), 20);
  return `${value.toFixed(decimals)} [${low.toFixed(decimals)}, ${high.toFixed(decimals)}]`;
}
