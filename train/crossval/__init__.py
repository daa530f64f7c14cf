"""Which samples are learned from and which are predicted, and how well that went."""
