"""Assays and spectra in, a validated model and its bundle out. Needs the `train` extra.

What lives where, from the bottom up; each imports those above it here only:

- `assays/`: laboratory values and their quality control; `samples`: spectra joined with them
- `crossval/`: what is left out, what is predicted of it, and how well
- `methods/`: ways of making a model; `registry` lists them, `method` says what one has to offer
- `training`: validate, make, calibrate, in one way for every method; `applicability`, `detection` and
  `censored_check` for it
- `run`: the folder that a training leaves; `export` with `formats`: from there to a bundle; `evaluate`: a bundle held
  against samples
- `report/`, `simulate/`, `ore/`, and the commands in `cli/`
"""
