"""Probe profiles, one TOML file each."""
