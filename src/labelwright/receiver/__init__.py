"""What comes from outside: webhooks and Azure Event Grid, written down, answered at once, told to Prefect."""
