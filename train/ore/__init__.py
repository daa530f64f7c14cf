"""Ore or gangue: from a table of blocks to compared, explained models and their bundles. Needs the `train` extra.

What lives where:

- simulated deposit: `fields`, `deposit`, `deposit_files`
- the table: `data` (what training takes), `explore` (statistics, frequencies, correlations)
- the models: `models` (the five), `splits` (holes apart), `search` (parameters and calibration of one fit),
  `calibration`, `scores`, `threshold` (by cost), `comparison` and `tasks` (all fits, in processes, resumable)
- what comes of it: `explain` (Shapley values), `study` (the published figures beside these), `run` and `folder` (the
  directory), `report*` (the page), `evaluation` (a bundle against a table)
- `ship` makes the shipped model again; commands: `cli*`, heavy imports inside the functions
"""
