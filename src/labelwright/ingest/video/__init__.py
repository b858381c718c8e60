"""Frames of videos as images of a campaign."""
