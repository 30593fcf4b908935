"""edgeeff: scaled EfficientNets to ONNX and TFLite, measured on the device itself."""

__version__ = "0.1.0"
