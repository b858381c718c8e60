"""One file a revision. A revision that was released is never changed: it imports nothing of Labelwright."""
