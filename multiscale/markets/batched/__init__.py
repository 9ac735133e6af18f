"""A community of very many members at once: exact answers of single members to prices, joined by column generation."""
