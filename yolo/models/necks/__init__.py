"""What joins the maps of a backbone across scales."""
