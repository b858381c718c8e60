"""The embedded labeling platform: the campaign REST API."""
