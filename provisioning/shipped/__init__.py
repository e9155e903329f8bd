"""The inventory and the campaigns that a new home starts with, as package data."""
