"""One file for each way to state that a follower is optimal."""
