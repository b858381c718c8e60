"""One retryable platform or store call each."""
