"""Parts of the dataset of a run: the network, its operation, money, and what the representative days miss."""
