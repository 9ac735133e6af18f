"""Trees of bilevel problems (year x scenario) that persistent investments tie: statement, nodes solved apart, what joins them, the answer.

Imports all other folders and ``solving``.
"""
