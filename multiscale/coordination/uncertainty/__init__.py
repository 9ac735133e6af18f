"""How the levels share forecast errors and the reserves for them."""
