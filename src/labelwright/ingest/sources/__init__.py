"""Where images come from: folders, lists, manifests, URLs, Azure containers."""
