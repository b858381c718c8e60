"""The labeling-campaign REST API."""
