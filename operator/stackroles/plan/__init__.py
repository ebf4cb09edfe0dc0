"""Pure decisions: data in, decision out."""
