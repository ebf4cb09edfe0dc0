"""One frozen RoleDefinition a file: what each role runs and needs."""
