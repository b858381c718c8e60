"""Where the service keeps images: a folder or Azure Blob."""
