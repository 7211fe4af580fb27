"""Hold the Unicode 15.0 data from which lanes are made, and the script that generates it."""
