"""A cloud as a whole: bring-up, steps, its status, its end."""
