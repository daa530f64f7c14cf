"""Everything that runs on the device. NumPy only: no TensorFlow, no SciPy."""

__version__ = "0.1.0"
