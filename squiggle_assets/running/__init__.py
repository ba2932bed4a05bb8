"""`squiggle run`: what is missing, in which order, on which worker. Everything goes through Dagster."""
