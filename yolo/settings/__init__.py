"""Every setting of a run, declared once; TOML in and out."""
