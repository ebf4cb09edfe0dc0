"""Ships a cloud's binary logs into a repository, and finds a point in time in them."""
