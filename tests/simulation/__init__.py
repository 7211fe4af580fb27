"""Drive the production engine against a model of Kafka, with faults between any two steps."""
