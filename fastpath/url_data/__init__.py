"""Hold what is known of URLs: the public suffixes and the parameters that only track."""
