"""One module per outside thing; the only places that import its library."""
