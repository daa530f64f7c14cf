"""A model made to hold at another site or on another instrument."""
