"""Rules that a scan and a spectrum have to keep to, and the gates that hold them."""
