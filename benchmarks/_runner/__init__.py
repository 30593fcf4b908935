"""Times model files in a fresh process: the runner that is brought to devices, as one zipapp.

The standard library and the runtime itself (numpy comes with it), Python 3.8 or later, since a board brings its own.
It imports nothing of edgeeff.

It reads one JSON object, the spec, from standard input:

    model, runtime ("litert", "onnxruntime"), accelerator ("cpu"), threads, seed, shapes {input: [int, ...]},
    warmup_runs, warmup_s, min_runs, max_runs, max_s, timeout_s; mode: "launch" where it is absent, or
    "profile"

and writes JSON objects, one a line, to standard output, each with a "record":

    loaded   the model can be run: startup_s, runtime_version, baseline_memory_bytes, ops, delegated_ops, delegate,
             partitions
    samples  it was timed: first_inference_s, warmup_runs, samples_ns, cpu_ns, involuntary_switches,
             peak_memory_bytes
    profile  (in that mode, after "loaded") how long each op took: plain_ns, one a run without the profiler;
             profiled_us, one a run with it; steps: [{kernel, name or index, us: one a run}]
    error    code, message; the exit code is 1 then

Times are wall clock unless the name says "cpu". What cannot be read is null.
"""
