"""The single-level program: its columns and rows, the builder that collects them, and the leader's part."""
