"""A fake CVAT server on a real socket, with the API of CVAT 2.15 or of newer servers."""
