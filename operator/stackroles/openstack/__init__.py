"""The clouds' own APIs, over openstacksdk; imported when the first cloud answers, not before."""
