"""Published assay tables that the simulation is conditioned on."""
