"""One normal form for all ways to write the same problem, so that method and time do not depend on how it was written.

Steps change the problem and record their way back (``work``): the leader's expressions are gathered into one vector for each follower
(``forms``), its definitions substituted (``leader_steps``), followers presolved (``rows``, ``columns``), and what the leader uses is stated
by as few quantities as possible (``contract``). ``normalise`` runs them. An answer is taken back and certified on the problem as it was read.

Imports ``problem``.
"""
