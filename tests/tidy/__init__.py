"""The rules of the source itself."""
