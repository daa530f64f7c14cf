"""Drivers: each instrument's own dialect behind one face, `driver.Instrument`."""
