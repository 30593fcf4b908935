"""One file a family: the paper's table as code, beside its citation. `registry` finds them."""
