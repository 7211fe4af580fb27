"""Talk to people: the weir command."""
