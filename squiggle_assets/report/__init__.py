"""Reports: frames in, figures and documents out. Pure like science; matplotlib and jinja2 load inside functions."""
