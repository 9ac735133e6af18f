"""No message, or few: platforms predict the price their exchange will be settled at."""
