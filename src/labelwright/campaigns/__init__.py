"""A campaign as a person writes and operates it: its file, its plan, its states' ways on."""
