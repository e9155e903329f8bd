"""One file or package per outside thing; the only places that import its library."""
