"""Takes a folder of images to a versioned, labeled dataset, through whichever labeling platform a team uses."""

__version__ = "0.1.0"
