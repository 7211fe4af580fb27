"""The twin: obvious Python that defines every result of the compiled core.

It shares nothing with the core but value types and the generated Unicode tables, and is chosen
only by importing it by name. A change of behaviour starts here.
"""
