"""HTTP client for platforms: deadlines, rate limits, error messages, JSON fields."""
