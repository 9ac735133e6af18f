"""What a bilevel problem is: the leader, the followers with their programs and cones, the options of a solve, and what is refused at once.

Imports nothing else of ``bilevel``.
"""
