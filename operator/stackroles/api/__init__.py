"""The resources a person writes, as pydantic models."""
