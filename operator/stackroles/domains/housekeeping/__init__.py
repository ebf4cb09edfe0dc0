"""Housekeeping: rows that services marked as deleted are counted, and removed."""
