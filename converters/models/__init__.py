"""Trained models into what a device runs. Needs the `train` extra."""
