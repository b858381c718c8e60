"""Platform adapter for CVAT."""
