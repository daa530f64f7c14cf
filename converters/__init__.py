"""Converters: one representation into another. `spectra` runs on the device, `models` on the training side."""
