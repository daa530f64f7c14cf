"""The methods of calibration, each behind the same few functions."""
