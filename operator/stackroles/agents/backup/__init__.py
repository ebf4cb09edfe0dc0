"""The program of a backup's Job."""
