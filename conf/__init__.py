"""Configuration groups: one folder per group, one YAML file per choice."""
