"""Campaign files, plans, connections, interventions, outlook, lineage, billing."""
