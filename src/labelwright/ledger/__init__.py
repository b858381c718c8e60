"""What was done to the outside world, and what is still open."""
