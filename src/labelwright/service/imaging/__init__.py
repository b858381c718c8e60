"""Decoding of images and their renditions for labelers, within bounds of memory."""
