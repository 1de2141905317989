"""What is told to the person at the terminal."""


class Unusable(Exception):
    """An error in the input: one line with what is wrong and what is expected."""
