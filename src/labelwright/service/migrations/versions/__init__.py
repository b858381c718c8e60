"""One file a step. A step that was released is never changed: it imports nothing of ours."""
