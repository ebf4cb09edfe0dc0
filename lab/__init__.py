"""The development cluster: a docker engine, a node image, three nodes, role images, test slices.

Run as ``python -m lab``. The operator imports nothing from here.
"""
