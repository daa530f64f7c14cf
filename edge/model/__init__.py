"""From a spectrum to an estimate; NumPy and a TFLite runtime only."""
