"""The page that joins words, tables and figures."""
