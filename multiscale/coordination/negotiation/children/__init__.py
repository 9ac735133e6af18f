"""The children of a negotiation: requests and replies, who carries them, and how a child computes its answer."""
