"""File formats: torch network -> graph (`_trace`), graph -> ONNX or TFLite file. One module a format."""
