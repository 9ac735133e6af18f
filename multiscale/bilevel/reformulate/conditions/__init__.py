"""What methods share of a follower's optimality: primal and dual rows, pairs, the primal-dual inequality, cones, value cuts."""
