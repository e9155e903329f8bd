"""The staff side over HTTP: the tills' API, health and metrics, and the pages that cashiers and staff use."""
