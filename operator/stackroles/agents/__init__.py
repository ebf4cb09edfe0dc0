"""Programs that run inside role pods; standard library only."""
