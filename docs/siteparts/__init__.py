"""What the site needs of its own: pages written from the code, docstrings as they are written here, equations without a script."""
