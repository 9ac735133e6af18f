"""What was found, as one labelled dataset and one flat summary."""
