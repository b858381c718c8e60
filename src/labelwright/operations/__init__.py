"""The operations page: how all campaigns of a ledger are, and what a person can do about them."""
