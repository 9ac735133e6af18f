"""What was found, in words and numbers for readers: the answer, the first sentences, the table on the terminal."""
