"""Simulated soils."""
