"""Carry records over Apache Kafka; the only importer of the client."""
