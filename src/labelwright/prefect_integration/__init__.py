"""Prefect blocks, deployments, automations, events and result storage."""
