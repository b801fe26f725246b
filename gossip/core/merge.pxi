# merge.pxi: the rules: claim and state in, verdict out.
