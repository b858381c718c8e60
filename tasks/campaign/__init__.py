"""Tasks on one campaign: its images, its state and its progress."""
