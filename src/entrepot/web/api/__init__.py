"""The JSON API under `/__api__`: one module per noun, shapes in `schemas`."""
