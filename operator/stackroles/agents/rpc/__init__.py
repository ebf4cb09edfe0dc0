"""Calls the RPC servers of a service: one that is connected and answers nothing is deaf."""
