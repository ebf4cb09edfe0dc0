"""The development cluster: a docker engine, a node image, three nodes, role images, test slices.

Run as ``python -m lab``. Nothing here is part of the operator and the operator imports nothing from here.
"""
