"""Bidirectional negotiation: parents and children exchange prices and exchange profiles until a proven gap is reached."""
