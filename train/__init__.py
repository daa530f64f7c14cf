"""Assays and spectra in, a validated model and its bundle out. Needs the `train` extra."""
