"""Everything that runs on the device. NumPy only: no TensorFlow, no SciPy."""
