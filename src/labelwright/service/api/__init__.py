"""Routes of the labeling-campaign API and of the labeling page."""
