"""Times model files in a fresh process: the runner that is brought to devices, as one zipapp.

The standard library and the runtime itself (numpy comes with it), Python 3.8 or later, since a board brings its own.
It imports nothing of edgeeff.

It reads one JSON object, the spec, from standard input:

    model, runtime ("litert", "onnxruntime"), accelerator ("cpu"), threads, seed, shapes {input: [int, ...]},
    warmup_runs, warmup_s, min_runs, max_runs, max_s, timeout_s; mode: "launch" where it is absent, or
    "profile"

and writes JSON objects, one a line, to standard output, each with a "record":

    loaded   the model can be run: startup_s, runtime_version, build_type, baseline_memory_bytes, ops, delegated_ops,
             delegate, partitions
    samples  it was timed: first_inference_s, warmup_runs, samples_ns, cpu_ns, involuntary_switches,
             peak_memory_bytes
    profile  (in that mode, after "loaded") how long each op took: plain_ns, one a run without the profiler;
             profiled_us, one a run with it; steps: [{kernel, name or index, us: one a run}]
    error    code, message; the exit code is 1 then

Mode "pair" times two models against each other, call by call. Its spec has `sides` {"candidate", "baseline"} in
place of model and runtime, each {model, runtime, python}; pairs, min_pairs, order_seed and outputs in place of the
runs. A side with a `python` (an argument list) lives in a process of its own, in mode "resident", and takes its turns
over pipes. Its records:

    stage    side, stage ("load", "run"): what it is about to do, so that a crash has a culprit
    loaded   as above, with the side
    outputs  side, inputs [{name, dtype, shape}], outputs [{name, shape, values}]: float32 in base64, where they were
             asked for
    pairs    candidate_ns, baseline_ns, candidate_cpu_ns, baseline_cpu_ns, candidate_first [bool, ...],
             candidate_loaded_first, warmup_runs, involuntary_switches, candidate_voluntary_switches,
             baseline_voluntary_switches, elapsed_s, clock_s (the same by the clock of
             the day)

Times are wall clock unless the name says "cpu". What cannot be read is null.
"""
