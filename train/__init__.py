"""Assays and spectra in, a validated model and its bundle out. Needs the `train` extra.

What lives where:

- laboratory values: `assays`, `assay_table`, `assay_kinds` (reading), `quality_*`, `duplicates`, `certified` (control),
  `element_statistics`, `product_limit`, `censored*` (bounds kept as bounds), `paper_tables`, `published`, `table_a1`
- simulated soils: `simulate`, `simulated_files`, `geochemistry`, `soil_*`, `probe_optics`
- the published network: `network`, `fit`, `training`, `run`, `trust`, `export`, `evaluate`, `ship`, `tensorflow_setup`
- comparing methods: `methods`, `methods_registry`, `baselines`, `published_method`, `folds`, `validation*`,
  `calibration_set`, `metrics`
- what people look at: `report/`, `importance`, `assay_report`
- commands: `cli*`, heavy imports inside the functions
"""
