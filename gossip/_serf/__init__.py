"""Serf's layer, what of it is not in the core: values in, values out, time as an argument."""
