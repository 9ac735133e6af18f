"""The equations that are solved, read off the objects that build them, and written for the terminal, in LaTeX and in HTML."""
