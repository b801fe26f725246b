# identity.pxi: who a member is, stored once for all tables of a process.
