"""What an operator builds, charges and earns under each regulatory regime, and what that costs society."""
