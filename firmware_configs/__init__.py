"""What is configured, not coded: probe profiles and Raspberry Pi files."""
