"""Configuration layers, their precedence, and rendering to oslo files."""
