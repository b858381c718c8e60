"""What Prefect is told of the flows; here so that it is installed with them."""
