"""One pandera model per table. `tables.TABLES` maps asset name to model; `handles` types what is not a table."""
