"""Ore or gangue: which face or block to haul to the mill, from assays, logged classes and the probe's estimates."""
