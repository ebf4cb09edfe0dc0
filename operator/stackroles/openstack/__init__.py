"""The only importer of openstacksdk."""
