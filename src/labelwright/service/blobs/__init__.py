"""Blob storage with the part of Azure's API that uploads need."""
