"""HTTP receiver of platform webhooks and Azure Event Grid: stores each notification, then emits Prefect events."""
