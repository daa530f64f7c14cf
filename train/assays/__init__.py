"""Laboratory values: tables, quality control, statistics."""
