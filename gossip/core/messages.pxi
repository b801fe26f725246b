# messages.pxi: one table of fields per message, both directions.
