"""The project's own table of spectra: wide CSV, one row a spectrum, optionally gzip (docs/table_format.md)."""
