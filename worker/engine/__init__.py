"""Own the loop: poll, step, produce, commit, restore, deadlines."""
