"""Pictures of a dataset: contact sheet and label chart."""
