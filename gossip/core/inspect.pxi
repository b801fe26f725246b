# inspect.pxi: the codec's face to Python: packets as dictionaries.
