"""The energy community of Rafina-Pikermi: a published local market, repeated with other profiles."""
