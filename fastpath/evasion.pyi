from fastpath.columns import Evasion

def measure(text: str) -> Evasion:
    """Count words of mixed script, hidden characters inside words, and turned directions."""
