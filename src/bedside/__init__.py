"""From labelled medical images to a quantized CNN shown to be safe and fast on its device."""

__version__ = "0.1.0"
