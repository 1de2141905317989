"""What is told to the person at the terminal."""


class Unusable(Exception):
    """One line that says what is wrong with the input, and what would be right."""
