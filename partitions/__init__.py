"""Partition dimensions of the studies: names, keys, rosters and mappings. Nothing here computes or stores."""
