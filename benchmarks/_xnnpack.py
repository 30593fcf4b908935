"""XNNPACK's operators -> those of a .tflite file that they may run."""

from __future__ import annotations

_TYPES = (
    # The longest beginning counts, so "Square Root" is not a "Square".
    ("Convolution (NHWC", "CONV_2D DEPTHWISE_CONV_2D"),
    ("Convolution (NCHW", "CONV_2D DEPTHWISE_CONV_2D"),
    ("Fully Connected", "FULLY_CONNECTED CONV_2D BATCH_MATMUL"),
    ("Dynamic Fully Connected", "FULLY_CONNECTED BATCH_MATMUL"),
    ("Batch Matrix Multiply", "BATCH_MATMUL"),
    ("Deconvolution", "TRANSPOSE_CONV"),
    ("Abs", "ABS"),
    ("Add", "ADD"),
    ("Average Pooling", "AVERAGE_POOL_2D MEAN"),
    ("Bankers Rounding", "ROUND"),
    ("Ceiling", "CEIL"),
    ("Clamp", "RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1"),
    ("Concatenate", "CONCATENATION"),
    ("Constant Pad", "PAD PADV2"),
    ("Convert", "QUANTIZE DEQUANTIZE CAST"),
    ("Copy", "RESHAPE SQUEEZE EXPAND_DIMS"),
    ("Cosine", "COS"),
    ("Depth To Space", "DEPTH_TO_SPACE"),
    ("Divide", "DIV"),
    ("ELU", "ELU"),
    ("Exp", "EXP"),
    ("Floor", "FLOOR"),
    ("GELU", "GELU"),
    ("Global Average Pooling", "MEAN AVERAGE_POOL_2D"),
    ("HardSwish", "HARD_SWISH"),
    ("Leaky ReLU", "LEAKY_RELU"),
    ("Log", "LOG"),
    ("Max Pooling", "MAX_POOL_2D"),
    ("Maximum", "MAXIMUM"),
    ("Mean", "MEAN"),
    ("Minimum", "MINIMUM"),
    ("Multiply", "MUL"),
    ("Negate", "NEG"),
    ("PReLU", "PRELU"),
    ("Reciprocal Square Root", "RSQRT"),
    ("Resize Bilinear", "RESIZE_BILINEAR"),
    ("Sigmoid", "LOGISTIC"),
    ("Sine", "SIN"),
    ("Slice", "SLICE STRIDED_SLICE SPLIT"),
    ("Softmax", "SOFTMAX"),
    ("Space To Depth", "SPACE_TO_DEPTH"),
    ("Square", "SQUARE"),
    ("Square Root", "SQRT"),
    ("Squared Difference", "SQUARED_DIFFERENCE"),
    ("Static Reshape", "RESHAPE SQUEEZE EXPAND_DIMS"),
    ("Static Slice", "SLICE STRIDED_SLICE SPLIT"),
    ("Subtract", "SUB"),
    ("Sum", "SUM MEAN"),
    ("Tanh", "TANH"),
    ("Transpose", "TRANSPOSE"),
    ("Unpooling", "CUSTOM"),
)


def file_types(kernel: str) -> tuple[str, ...]:
    """For what the profiler calls a step, "Convolution (NHWC, F32) DWConv" say.

    A step outside the delegate bears the file operator's own name; an unknown one may be any of its own kind only.
    """
    fitting = [(name, types) for name, types in _TYPES if kernel.startswith(name)]
    if not fitting:
        return (kernel,)
    types = tuple(max(fitting, key=lambda pair: len(pair[0]))[1].split())
    # Which of the two a convolution is, the kernel tells.
    if "DWConv" in kernel:
        return ("DEPTHWISE_CONV_2D",)
    return tuple(name for name in types if name != "DEPTHWISE_CONV_2D") if "GEMM" in kernel else types
