"""How buyers and sellers find each other: auctions, bilateral contracts and consensus as algorithms on plain arrays."""
